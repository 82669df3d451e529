"""How long and how thoroughly to search for violations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from seqloss.verify.cases import POWERS


@dataclass(frozen=True)
class Effort:
    """The budget of a verification.

    Attributes:
        examples: random problems per law.
        seconds: for the searches of all laws together. Minimising a failure can take as long again.
        full: include large sizes.
        seed: of the random search.
        stop_at_first: stop at the first law for which a result is wrong.
        minimize: search for a smaller problem that violates the same law.
        limit: seconds per call. The first calls in each type of logits, which may compile, are not timed.
        powers: powers of two; sizes around them are tried.

    Example:
        >>> from dataclasses import replace
        >>> replace(QUICK, seconds=60.0).examples
        12
    """

    examples: int = 12
    seconds: float = 4.0
    full: bool = False
    seed: int = 0
    stop_at_first: bool = False
    minimize: bool = True
    limit: float = 20.0
    powers: Sequence[int] = (16, 32, 64, 256)


QUICK = Effort()
"""Some seconds per implementation: 12 random problems per law, small sizes, 20 seconds per call."""

FULL = Effort(examples=400, seconds=240.0, full=True, limit=120.0, powers=POWERS)
"""Some minutes per implementation: 400 random problems per law, also large sizes, 120 seconds per call."""
