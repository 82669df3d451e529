"""Named cases: a real bug, or a question that somebody had to ask, with its thread, as the smallest such problem.

`pytorch#18215` is issue 18215 of the project that is known by that name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from seqloss.verify.problem import Problem, problem


@dataclass(frozen=True)
class Case:
    """A named problem.

    Attributes:
        name: a few words. law: the law that it belongs to. thread: where somebody met it.
        problem: makes it.
        full: whether it takes too long for a quick look.
        dtype: of the scores, if the case is about one.
    """

    name: str
    law: str
    thread: str
    problem: Callable[[], Problem]
    full: bool = False
    dtype: str = ""


def scores(batch: int, time: int, classes: int, seed: int = 0) -> np.ndarray:
    return np.round(np.random.default_rng(seed).normal(size=(batch, time, classes)), 2)


def _sure() -> Problem:
    """36 nats between the path's classes and the others: a loss of 8e-16."""
    logits = np.zeros((1, 3, 2))
    logits[0, [0, 1, 2], [0, 1, 0]] = 36.0
    return problem(logits, [[1]])


def _masked(score: float) -> Problem:
    logits = scores(1, 6, 4)
    logits[0, :, 2] = score
    return problem(logits, [[2, 1, 2]])


def _some_closed() -> Problem:
    logits = 3 * scores(1, 8, 4)
    logits[0, [0, 3, 4], [1, 2, 0]] = -np.inf
    logits[0, 6, [0, 3]] = -np.inf
    return problem(logits, [[1, 2]])


def _all_closed() -> Problem:
    logits = scores(2, 4, 3)
    logits[0, :, 2] = -np.inf
    return problem(logits, [[1, 2], [1]])


def _nan_padding() -> Problem:
    logits = scores(2, 6, 4)
    logits[0, 4:] = np.nan
    return problem(logits, [[1, 2], [3]], [4, 6])


def _with(score: float, classes: int | slice) -> Problem:
    """In a frame of the first row; the second is as it should be."""
    logits = scores(2, 5, 4)
    logits[0, 2, classes] = score
    return problem(logits, [[1, 2], [3]])


def _padded_with(label: int) -> Problem:
    return problem(scores(2, 6, 4), [[1, 2, 3], [3]], padding=label)


LENGTHS = {
    22: ((13, 2), (15, 4), (22, 13), (22, 15), (22, 22)),
    23: ((7, 1), (13, 4), (14, 7), (23, 13), (23, 23)),
    41: ((8, 1), (16, 2), (32, 4), (41, 8), (41, 16), (41, 32), (41, 41)),
}
"""Frames and labels of rows, by the size of both axes: divided by it and multiplied again, in float32 or in float64,
many come out below the integer that they were."""


def _lengths(size: int) -> Problem:
    targets = [(np.arange(labels) % 4 + 1).tolist() for _, labels in LENGTHS[size]]
    return problem(scores(len(targets), size, 5, size), targets, [frames for frames, _ in LENGTHS[size]])


def _long() -> Problem:
    """Uniform labels, scores 3 N(0, 1): the design's `long` workload, one row of it."""
    rng = np.random.default_rng(0)
    logits = (3 * rng.normal(size=(1, 4000, 32))).astype(np.float32)
    return problem(logits, rng.integers(1, 32, (1, 800)).tolist())


def sized(time: int, classes: int, labels: int, batch: int = 1, last: bool = False) -> Problem:
    """Random scores and labels, the same whenever it is asked for; `last` has the last class in each target."""
    rng = np.random.default_rng(time + 31 * classes + 7 * labels)
    targets = rng.integers(1, max(2, classes), (batch, labels)).tolist()
    if last:
        targets = [[classes - 1, *row[1:]] for row in targets]
    return problem(scores(batch, time, classes, time + classes), targets)


POWERS = (16, 32, 64, 128, 256, 512)
"""Sizes at which vectors, buffers and counters end."""


def around(powers: Sequence[int] = POWERS) -> Iterator[tuple[str, Problem]]:
    """Each axis by itself, of each power of two, of one less and of one more: in words, and the problem."""
    for n in (power + more for power in powers for more in (-1, 0, 1)):
        yield f"{n} classes", sized(6, n, 2, 2, last=True)
        yield f"{n} frames", sized(n, 5, 3, 2)
        yield f"{n} rows", sized(4, 3, 1, n)
        yield f"{n} labels", sized(2 * n + 16, 5, n)


CASES: tuple[Case, ...] = (
    Case("one row beside three others", "batch-mates", "transformers#47688", lambda: _uneven().pick([0, 1, 2, 0])),
    Case("gradient past a row's frames", "padding", "tensorflow#41280", lambda: _uneven()),
    Case("labels padded with -1", "padding", "keras#21876", lambda: _padded_with(-1)),
    *(
        Case(f"lengths in {size} frames and labels", law, "speechbrain: relative lengths", partial(_lengths, size))
        for size, law in ((22, "padding"), (23, "padding"), (41, "padding"), (41, "sizes"))
    ),
    Case("scores that are no log-probabilities", "frame-shift", "deepspeech.pytorch#488", lambda: _plain(4.0)),
    Case("gradient by logits or by log-probs", "rows-sum-to-0", "pytorch#52241", lambda: _plain(0.0)),
    Case("blank is the last class", "relabelling", "tensorflow#42488", lambda: _blank_last()),
    Case("slope of the loss", "finite-differences", "pytorch#181534", lambda: _plain(0.0)),
    Case("[1, 1, 1, 1] in 6 frames", "impossible", "DeepSpeech#1629", lambda: problem(scores(1, 6, 4), [[1] * 4])),
    Case("more labels than frames", "impossible", "returnn#1835", lambda: problem(scores(1, 2, 4), [[1, 2, 3]])),
    Case("all paths closed by -inf", "impossible", "tensorflow#33462", _all_closed),
    Case("all scores alike", "definition", "an untrained model", lambda: problem(np.zeros((1, 7, 5)), [[3, 3, 1]])),
    Case("-inf scores, other paths fit", "closed-scores", "pytorch#21680", _some_closed),
    Case("a class masked with -10,000", "masked", "axlearn#211", lambda: _masked(-1e4)),
    Case("a class masked with float's minimum", "impossible", "chainer#5614", lambda: _masked(-3.4e38)),
    Case("a very sure model that is wrong", "extreme-scores", "pytorch#21680", lambda: _plain(0.0, 700.0)),
    Case("a model sure and right", "non-negative", "optax#1771", _sure),
    Case("NaN in padded frames", "nan-in-padding", "tensorflow#41280", _nan_padding),
    Case("+inf in a frame", "nan-in-a-row", "the contract", lambda: _with(np.inf, 2)),
    Case("a frame of only -inf", "nan-in-a-row", "the contract", lambda: _with(-np.inf, slice(None))),
    Case("label 7 of 4 classes", "refuses-labels", "pytorch#191568", lambda: problem(scores(1, 6, 4), [[1, 7]])),
    Case("label -3", "refuses-labels", "pytorch#189670", lambda: problem(scores(1, 6, 4), [[1, -3]])),
    Case(
        "the blank in a target", "refuses-labels", "transformers#12270", lambda: problem(scores(1, 6, 4), [[1, 0, 2]])
    ),
    Case(
        "a length past the frames", "refuses-lengths", "optax: masks", lambda: problem(scores(1, 6, 4), [[1, 2]], [9])
    ),
    Case("an empty target", "empty", "pytorch#18215", lambda: problem(scores(2, 5, 4), [[1, 2], []])),
    Case("only empty targets", "empty", "pytorch#18215", lambda: problem(scores(2, 5, 4), [[], []])),
    Case("no frames, no labels", "empty", "pytorch#18215", lambda: problem(scores(2, 5, 4), [[1], []], [5, 0])),
    Case("an empty batch", "empty", "the contract", lambda: problem(np.zeros((0, 5, 4)), [])),
    Case("one class", "empty", "the contract", lambda: problem(scores(1, 5, 1), [[]])),
    *(
        Case(f"{t} frames, {c} classes, {n} labels", "sizes", thread, partial(sized, t, c, n, b), full)
        for t, c, n, b, thread, full in (
            (2, 2, 1, 1, "powers of two", False),
            (8, 16, 4, 4, "powers of two", False),
            (17, 33, 8, 3, "powers of two", False),
            (600, 5, 257, 1, "pytorch#27442", False),
            (600, 5, 255, 2, "cuDNN: fewer than 256 labels", True),
            (600, 5, 256, 2, "cuDNN: fewer than 256 labels", True),
            (40, 257, 15, 2, "bytes", True),
            (2600, 9, 1025, 1, "pytorch#27442", True),
            (40, 50000, 12, 1, "pytorch#27442", True),
        )
    ),
    Case("4,000 frames, 800 labels, float32", "long", "pytorch#27442", _long, True, "float32"),
)


def _uneven() -> Problem:
    return problem(scores(3, 6, 4, 3), [[1, 2, 2], [3], [2, 1]], [6, 3, 4])


def _plain(shift: float, scale: float = 1.0) -> Problem:
    return problem(scale * scores(1, 5, 4, 5) + shift, [[2, 1]])


def _blank_last() -> Problem:
    return problem(scores(2, 6, 4, 6), [[0, 1], [2]], blank=3)
