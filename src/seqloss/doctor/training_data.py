"""The data of a training that is examined: some of its batches, its held-out batches, its texts and vocabulary."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch

from seqloss.doctor.codec import Decode
from seqloss.doctor.snapshot import random_states

SCAN = 16
"""Batches that the laws of data look at."""

SECONDS = 5.0
"""No further batch is drawn after this time."""

TEXTS = 10_000
"""Texts that go to ids and back."""


@dataclass(frozen=True)
class TrainingData:
    """What the laws of data look at.

    Attributes:
        vocabulary: text to ids and back, of any kind that `seqloss.doctor.codec` knows.
        texts: of the training, as they are written.
        decode: ids of several rows to their texts, in place of the vocabulary's own.
        batches: the first ones of the training.
        held_out: batches that are not trained on; None if none were given.
        loader: what the batches were drawn from.
        checkpoint: the weights that the model was meant to begin with.
    """

    vocabulary: Any = None
    texts: Sequence[str] = ()
    decode: Decode | None = None
    batches: Sequence[Any] = ()
    held_out: Sequence[Any] | None = None
    loader: Any = None
    checkpoint: Mapping[str, Any] | None = None


def draw(batches: Iterable[Any], most: int, *, least: int = 1, seconds: float = SECONDS) -> list[Any]:
    """The first batches of a loader, whose own first epoch is then in the same order.

    Args:
        batches: a loader, or some batches.
        most: batches that are drawn if there is time.
        least: so many are drawn in any case.
        seconds: after them no further batch is drawn.

    Returns:
        The batches; fewer if there are no more.
    """
    with random_states(), generators_of(batches):
        return list(_draw(batches, most, least, time.perf_counter() + seconds))


@contextmanager
def generators_of(loader: Any, seed: int | None = None) -> Iterator[None]:
    """Put the states of a loader's own generators back at the end; begin with those of a seed.

    Args:
        loader: of torch or another one; generators of its sampler and its data count too.
        seed: None to begin with the states as they are.
    """
    owners = [loader, *(getattr(loader, name, None) for name in ("sampler", "batch_sampler", "dataset"))]
    owners.append(getattr(owners[2], "sampler", None))
    found = {id(one): one for owner in owners if owner is not None
             for one in getattr(owner, "__dict__", {}).values() if isinstance(one, torch.Generator)}  # fmt: skip
    states = [(one, one.get_state()) for one in found.values()]
    try:
        for one, _ in states:
            if seed is not None:
                one.manual_seed(seed)
        yield
    finally:
        for one, state in states:
            one.set_state(state)


def _draw(batches: Iterable[Any], most: int, least: int, end: float) -> Iterator[Any]:
    for count, batch in enumerate(islice(batches, most), 1):
        yield batch
        if count >= least and time.perf_counter() > end:
            return
