"""Semirings: one recursion over paths, with different sums and products.

A recursion over paths uses two operations with a ⊗ (b ⊕ c) = (a ⊗ b) ⊕ (a ⊗ c). With other operations, the same
recursion computes another quantity:

=============  ==========  =====  ==========================================================
semiring       ⊕           ⊗      the recursion gives
=============  ==========  =====  ==========================================================
`LOG`          logaddexp   +      log of the sum of all paths' probabilities: the loss
`MAX`          maximum     +      log of the most probable path: the alignment
`PROBABILITY`  +           ×      the sum itself; with every score 1, the number of paths
=============  ==========  =====  ==========================================================

References:
    Goodman, Semiring parsing, Computational Linguistics 25(4), 1999.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Semiring:
    """Two operations over arrays, and their neutral elements.

    Attributes:
        plus: ⊕, combines alternative paths.
        times: ⊗, extends a path.
        zero: neutral for ⊕ and absorbing for ⊗: no path.
        one: neutral for ⊗: a path without a frame.
    """

    plus: Callable[[np.ndarray, np.ndarray], np.ndarray]
    times: Callable[[np.ndarray, np.ndarray], np.ndarray]
    zero: float
    one: float


LOG = Semiring(np.logaddexp, np.add, zero=-np.inf, one=0.0)
MAX = Semiring(np.maximum, np.add, zero=-np.inf, one=0.0)
PROBABILITY = Semiring(np.add, np.multiply, zero=0.0, one=1.0)
