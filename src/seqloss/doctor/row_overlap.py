"""Whether so many rows can be in the training and held out by chance, as texts that are common are."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence


def chance_of_overlap(trained: Sequence[Hashable], held_out: Sequence[Hashable]) -> float:
    """The probability of as many held-out rows that are trained on, if held-out rows were drawn from all rows.

    It is exact but for a factor of two, as the smaller one of two is taken, each of which holds: of rows that occur
    more than once among all rows, how many are held out; and of pairs of equal rows, how many are parted.

    Args:
        trained: rows, with their repetitions.
        held_out: rows, with their repetitions; a text that is held out many times counts once.
    """
    counts, theirs = Counter(trained), Counter(held_out)
    known = len(counts.keys() & theirs.keys())
    every = len(trained) + len(theirs)
    alone = sum(count == 1 and row not in theirs for row, count in counts.items()) + len(theirs) - known
    of_repeated = _at_least(known, every - alone, every, len(theirs))
    pairs = [row for row, count in (counts + theirs).items() if count == 2]
    parted = sum(counts[row] == 1 for row in pairs)
    return min(1.0, 2 * min(of_repeated, _parted(parted, len(pairs), len(trained) + len(held_out), len(held_out))))


def _at_least(least: int, marked: int, every: int, drawn: int) -> float:
    """That so many marked ones are among those drawn without putting back."""
    whole = _ways(every, drawn)
    return math.fsum(math.exp(_ways(marked, k) + _ways(every - marked, drawn - k) - whole)
                     for k in range(least, min(marked, drawn) + 1))  # fmt: skip


def _parted(least: int, pairs: int, every: int, drawn: int) -> float:
    """That so many pairs have one of their two among those drawn."""
    whole = _ways(every, drawn)
    return math.fsum(
        math.exp(_ways(pairs, k) + k * math.log(2) + _ways(pairs - k, both) - whole
                 + _ways(every - 2 * pairs, drawn - k - 2 * both))
        for k in range(least, min(pairs, drawn) + 1) for both in range(min(pairs - k, (drawn - k) // 2) + 1)
    )  # fmt: skip


def _ways(count: int, chosen: int) -> float:
    """Logarithm of the number of ways to choose some of them."""
    if not 0 <= chosen <= count:
        return -math.inf
    return math.lgamma(count + 1) - math.lgamma(chosen + 1) - math.lgamma(count - chosen + 1)
