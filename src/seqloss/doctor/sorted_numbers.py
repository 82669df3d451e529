"""Whether numbers are sorted by chance."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise


def chance_of_order(numbers: Sequence[float]) -> float:
    """The probability that numbers in any order only rise, or only fall; 1 if they do not.

    Exact: two of the orders that they can have, equal numbers being the same.
    """
    steps = [after - before for before, after in pairwise(numbers)]
    if not (all(step >= 0 for step in steps) or all(step <= 0 for step in steps)):
        return 1.0
    orders = math.lgamma(len(numbers) + 1) - sum(math.lgamma(count + 1) for count in Counter(numbers).values())
    return min(1.0, 2 * math.exp(-orders))
