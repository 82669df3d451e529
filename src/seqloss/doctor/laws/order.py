"""Batches are no longer in the order of the data: not by class, and not by length in two epochs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch

from seqloss.doctor.batch_rows import find_rows
from seqloss.doctor.findings import Finding
from seqloss.doctor.subject import NotChecked, Subject
from seqloss.doctor.training_data import draw, generators_of

LEAST = 8
"""Batches whose lengths only rise, or only fall, by chance in one of 20160 epochs."""

LEAST_ORDERS = 20000.0
"""Orders that the means of batches could have, equal ones counted once: two of them are sorted."""

LEAST_OF_ONE_CLASS = 4

COMMON = 0.5
"""Share of held-out rows that may be of one length, for it to be odd that all rows of 8 batches are."""

CODE = """\
for batch in loader:
    print(batch["lengths"].float().mean(), batch["labels"].unique())
"""


def check(subject: Subject) -> Iterator[Finding]:
    batches = subject.data.batches
    if len(batches) < LEAST_OF_ONE_CLASS:
        raise NotChecked(f"{LEAST_OF_ONE_CLASS} batches are needed")
    classes = _classes(batches)
    if classes is not None and _are_sorted(classes):
        yield Finding(
            "batches-in-order-of-class", "error",
            {"batches": len(classes), "class of each": [found[0] for found in classes]},
            "each batch has one class, and each class comes in one piece: nothing is shuffled, and the model learns "
            "the last class that it saw",
            "Use shuffle=True, or shuffle the files once", CODE,
        )  # fmt: skip
    first = _lengths(batches)
    in_order = [name for name, rows in first.items() if _are_in_order(rows, _lengths(subject.data.held_out).get(name))]
    second = _lengths(_second_epoch(subject)) if in_order else {}
    for name in in_order:
        if name in second and _are_in_order(second[name], _lengths(subject.data.held_out).get(name)):
            yield Finding(
                "batches-in-order-of-length", "warning",
                {"lengths": name, "means of batches": _means(first[name]), "in a second epoch": _means(second[name])},
                "batches are sorted by length in two epochs: nothing is shuffled, and batches next to each other are "
                "alike",
                "Shuffle batches of similar length, at least from the second epoch on", CODE,
            )  # fmt: skip
            return


def _classes(batches: Sequence[object]) -> list[list[int]] | None:
    """The classes of each batch: of a part of integers with one for each row that has few of them."""
    found: dict[object, list[list[int]]] = {}
    for batch in batches:
        rows = find_rows(batch)
        if rows is None:
            return None
        for path, part in rows.lengths.items():
            if rows.count > 1 and not rows.is_length(path):
                found.setdefault(path, []).append(part.unique().tolist())
    return next((one for one in found.values() if len(one) == len(batches)), None)


def _are_sorted(classes: Sequence[Sequence[int]]) -> bool:
    """Batches of one class each but for those where one class ends and the next begins; no class comes back."""
    single = [found[0] for found in classes if len(found) == 1]
    runs = [one for one, other in pairwise([*single, None]) if one != other]
    few = all(len(found) <= 2 for found in classes) and len(single) >= max(LEAST_OF_ONE_CLASS, len(classes) // 2)
    return few and len(runs) > 1 and len(set(runs)) == len(runs) and len(single) > len(runs)


def _lengths(batches: Sequence[object] | None) -> dict[str, list[list[int]]]:
    """The lengths in each batch, by name."""
    found: dict[str, list[list[int]]] = {}
    for batch in batches or ():
        rows = find_rows(batch)
        if rows is None:
            return {}
        for path, part in rows.lengths.items():
            if rows.is_length(path):
                found.setdefault(".".join(map(str, path)), []).append(part.tolist())
    return found


def _are_in_order(batches: Sequence[Sequence[int]], held_out: Sequence[Sequence[int]] | None) -> bool:
    """Whether the means of batches only rise or only fall; or all rows have one length, and held-out rows many."""
    means = _means(batches)
    if len(means) < LEAST:
        return False
    steps = [b - a for a, b in pairwise(means)]
    if _orders(means) > LEAST_ORDERS:
        return all(step >= 0 for step in steps) or all(step <= 0 for step in steps)
    counts = Counter(length for batch in held_out or () for length in batch)
    one = len({length for batch in batches for length in batch}) == 1
    return one and len(counts) > 2 and max(counts.values()) < COMMON * counts.total()


def _orders(means: Sequence[float]) -> float:
    return math.factorial(len(means)) / math.prod(map(math.factorial, Counter(means).values()))


def _means(batches: Sequence[Sequence[int]]) -> list[float]:
    return [sum(batch) / len(batch) for batch in batches]


def _second_epoch(subject: Subject) -> list[object]:
    """Its first batches, of a loader that can be read again; none of a list or an iterator.

    A training tells a sampler its epoch, and so does this; the loader is then told the first one again.
    """
    loader = subject.data.loader
    if isinstance(loader, Sequence) or iter(loader) is loader:
        return []
    samplers = [one for name in ("sampler", "batch_sampler") if (one := getattr(loader, name, None)) is not None]
    told = [(one, getattr(one, "epoch", 0)) for one in [loader, *samplers] if hasattr(one, "set_epoch")]
    try:
        for sampler, epoch in told:
            sampler.set_epoch(epoch + 1)
        with torch.random.fork_rng([]), generators_of(loader, seed=1):
            torch.manual_seed(1)
            return draw(loader, len(subject.data.batches), seconds=3.0)
    finally:
        for sampler, epoch in told:
            sampler.set_epoch(epoch)
