"""Types of adapters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Adapter = Callable[..., tuple[np.ndarray, np.ndarray]]
"""f(logits, targets, logit_lengths, target_lengths, blank, upstream=None) -> (losses, gradient), all NumPy arrays."""

Loss = Callable[..., Any]
"""f(logits, targets, logit_lengths, target_lengths, blank) -> losses (batch,), all arrays of a framework."""
