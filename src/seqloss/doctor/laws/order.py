"""Batches are no longer in the order of the data: not by class, and not by length in two epochs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

from seqloss.doctor.batches.parts import Path, name_part, parts_of
from seqloss.doctor.batches.rows import find_rows
from seqloss.doctor.epoch import Epoch, read_epoch
from seqloss.doctor.findings import Finding
from seqloss.doctor.sorted_numbers import chance_of_order
from seqloss.doctor.subject import NotChecked, Subject
from seqloss.doctor.targets import changes_loss

LEAST = 8
"""Batches whose numbers can be said to be sorted."""

CHANCE = 1e-4
"""That batches are sorted although their order is by chance; one in a hundred million if each epoch has its own."""

FEWER = 4
"""Different numbers of classes are fewer than a part of the rows this large; others are numbers of rows, or times."""

LEAST_OF_ONE_CLASS = 4

COMMON = 0.5
"""Share of held-out rows that may be of one length, for it to be odd that all rows of 8 batches are."""

Numbers = dict[str, list[float]]
"""A number for each batch, by the name of what it is."""

CODE = """\
for batch in loader:
    print(batch["lengths"].float().mean(), batch["labels"].unique())
"""


def check(subject: Subject) -> Iterator[Finding]:
    batches = subject.data.batches
    if len(batches) < LEAST_OF_ONE_CLASS:
        raise NotChecked(f"{LEAST_OF_ONE_CLASS} batches are needed")
    classes = _classes(batches)
    single = classes is not None and _are_sorted(classes)
    epochs = _epochs(subject)
    rising = _in_order(epochs, partial(_mean_classes, subject)) if epochs and not single else None
    if single or rising:
        evidence = {"class of each": [found[0] for found in classes or ()]} if single else {"means of batches": rising}
        yield Finding(
            "batches-in-order-of-class", "error", {"batches": len(batches), **evidence},
            "classes come one after the other, each in one piece: nothing is shuffled, and the model learns the last "
            "class that it saw",
            "Use shuffle=True, or shuffle the files once", CODE,
        )  # fmt: skip
    elif epochs and (found := _in_order(epochs, _sizes) or _of_one_length(subject, epochs)):
        yield Finding(
            "batches-in-order-of-length", "warning", {"lengths of batches": found},
            "batches are sorted by length in two epochs: nothing is shuffled, and batches next to each other are "
            "alike",
            "Shuffle batches of similar length, at least from the second epoch on", CODE,
        )  # fmt: skip


def _epochs(subject: Subject) -> tuple[Epoch, Epoch] | None:
    """The first two, of a loader that can be read again; none of a list or an iterator."""
    loader = subject.data.loader
    if isinstance(loader, Sequence | Iterator):
        return None
    first = read_epoch(loader, subject.data.batches, 0)
    return first, read_epoch(loader, subject.data.batches, 1)


def _in_order(epochs: tuple[Epoch, Epoch], judge: Callable[[Sequence[object]], Numbers]) -> list[float] | None:
    """Numbers that are sorted in both epochs; None if there are none, or if that can be chance.

    An epoch in the same order as the one before says nothing more.
    """
    first, second = (judge(epoch.batches) for epoch in epochs)
    same = epochs[0].order is not None and epochs[0].order == epochs[1].order
    for name, numbers in first.items():
        others = second.get(name, [])
        chance, again = chance_of_order(numbers), chance_of_order(others)
        if len(numbers) < LEAST or len(others) < LEAST or 1.0 in (chance, again):
            continue
        if (chance if same or numbers == others else chance * again) < CHANCE:
            return numbers
    return None


def _sizes(batches: Sequence[object]) -> Numbers:
    """Of all axes, to which rows are padded; the means of lengths; those of texts."""
    found: dict[str, list[float]] = {}
    for batch in batches:
        for path, part in parts_of(batch).items():
            if isinstance(part, Tensor):
                for axis, size in enumerate(part.shape):
                    found.setdefault(f"axis {axis} of {name_part(path)}", []).append(size)
            elif isinstance(part, list | tuple) and part and all(isinstance(one, Sized) for one in part):
                found.setdefault(name_part(path), []).append(sum(map(len, part)) / len(part))
        rows = find_rows(batch)
        for path, part in rows.lengths.items() if rows else ():
            if rows is not None and rows.is_length(path):
                found.setdefault(f"mean of {name_part(path)}", []).append(float(part.double().mean()))
    return _complete(found, batches)


def _mean_classes(subject: Subject, batches: Sequence[object]) -> Numbers:
    """Of targets with one class for each row."""
    found: dict[Path, list[Tensor]] = {}
    for batch in batches:
        rows = find_rows(batch)
        for path, part in rows.lengths.items() if rows else ():
            if rows is not None and not rows.is_length(path):
                found.setdefault(path, []).append(part)
    return {
        name_part(path): [float(part.double().mean()) for part in parts] for path, parts in found.items()
        if len(parts) == len(batches) and FEWER * len((values := torch.cat(parts)).unique()) <= len(values)
        and _is_target(subject, path, values)
    }  # fmt: skip


def _is_target(subject: Subject, path: Path, values: Tensor) -> bool:
    """Whether the loss of the first batch changes with classes that come later, while the outputs are held."""
    part = subject.rows().parts[path]
    other = values[values != part[0]]
    with torch.no_grad():
        outputs = subject.call(subject.batches[0]).outputs
    return bool(len(other)) and changes_loss(subject, path, torch.full_like(part, int(other[-1])), outputs)


def _complete(found: Mapping[str, list[float]], batches: Sequence[object]) -> Numbers:
    return {name: numbers for name, numbers in found.items() if len(numbers) == len(batches)}


def _of_one_length(subject: Subject, epochs: tuple[Epoch, Epoch]) -> list[float] | None:
    """All rows of two epochs have one length, and held-out rows many; not if the epochs were seen to their end."""
    if any(epoch.is_whole or len(epoch.batches) < LEAST for epoch in epochs):
        return None
    first, second = (_lengths(epoch.batches) for epoch in epochs)
    held_out = _lengths(subject.data.held_out or ())
    for name, lengths in first.items():
        counts = Counter(held_out.get(name, ()))
        many = len(counts) > 2 and max(counts.values()) < COMMON * counts.total()
        if many and len(set(lengths)) == len(set(second.get(name, ()))) == 1:
            return sorted(map(float, set(lengths)))
    return None


def _lengths(batches: Sequence[object]) -> dict[str, list[int]]:
    """Of all rows, by the name of their part."""
    found: dict[str, list[int]] = {}
    for batch in batches:
        rows = find_rows(batch)
        for path, part in rows.lengths.items() if rows else ():
            if rows is not None and rows.is_length(path):
                found.setdefault(name_part(path), []).extend(part.tolist())
    return found


def _classes(batches: Sequence[object]) -> list[list[int]] | None:
    """The classes of each batch: of a part of integers with one for each row that has few of them."""
    found: dict[Path, list[list[int]]] = {}
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
