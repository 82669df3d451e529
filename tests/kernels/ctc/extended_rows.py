"""All rows by extended-exponent numbers, so that these can be held against the fast path."""

from __future__ import annotations

import math
from typing import Any

import pytest

from seqloss.kernels.ctc import batch, huge_rows
from seqloss.kernels.ctc.rows import Path


def leave_all_rows_to_extended_exponents(patch: pytest.MonkeyPatch) -> None:
    """No row is huge, and the fast path computes nothing: it finds every row too deep."""

    def compute_rows(*args: Any) -> None:
        chosen, _, paths = args[11:14]
        paths[chosen] = Path.DEEP

    patch.setattr(huge_rows, "HUGE", math.inf)
    patch.setattr(batch, "compute_rows", compute_rows)
