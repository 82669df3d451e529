"""Named cases: small problems from bug reports and questions about CTC implementations.

`pytorch#18215` is issue 18215 of the GitHub project pytorch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from seqloss.verify.length_fractions import telling_lengths
from seqloss.verify.problem import Problem, make_problem


@dataclass(frozen=True)
class Case:
    """A named problem.

    Attributes:
        name: a few words.
        law: the name of the law that it is about.
        thread: the bug report that it comes from.
        problem: makes the problem.
        full: whether it is used only with `Effort.full`, because it takes long.
        dtype: of the logits; "" for that of the runner.
    """

    name: str
    law: str
    thread: str
    problem: Callable[[], Problem]
    full: bool = False
    dtype: str = ""


def random_scores(batch: int, time: int, classes: int, seed: int = 0) -> np.ndarray:
    """Normally distributed scores with two decimals."""
    return np.round(np.random.default_rng(seed).normal(size=(batch, time, classes)), 2)


def _confident() -> Problem:
    """36 nats between the classes of the path and the others: a loss of 8e-16."""
    logits = np.zeros((1, 3, 2))
    logits[0, [0, 1, 2], [0, 1, 0]] = 36.0
    return make_problem(logits, [[1]])


def _masked(score: float) -> Problem:
    logits = random_scores(1, 6, 4)
    logits[0, :, 2] = score
    return make_problem(logits, [[2, 1, 2]])


def _some_minus_inf() -> Problem:
    logits = 3 * random_scores(1, 8, 4)
    logits[0, [0, 3, 4], [1, 2, 0]] = -np.inf
    logits[0, 6, [0, 3]] = -np.inf
    return make_problem(logits, [[1, 2]])


def _all_minus_inf() -> Problem:
    logits = random_scores(2, 4, 3)
    logits[0, :, 2] = -np.inf
    return make_problem(logits, [[1, 2], [1]])


def _nan_padding() -> Problem:
    logits = random_scores(2, 6, 4)
    logits[0, 4:] = np.nan
    return make_problem(logits, [[1, 2], [3]], [4, 6])


def _with_score(score: float, classes: int | slice) -> Problem:
    """Sets scores in one frame of the first row; the second row is valid."""
    logits = random_scores(2, 5, 4)
    logits[0, 2, classes] = score
    return make_problem(logits, [[1, 2], [3]])


def _padded_with(label: int) -> Problem:
    return make_problem(random_scores(2, 6, 4), [[1, 2, 3], [3]], padding=label)


LENGTHS = {
    22: ((13, 2), (15, 4), (22, 13), (22, 15), (22, 22)),
    23: ((7, 1), (13, 4), (14, 7), (23, 13), (23, 23)),
    41: ((8, 1), (16, 2), (32, 4), (41, 8), (41, 16), (41, 32), (41, 41)),
}
"""Frames and labels of rows, by the size of both axes. Converted to fractions of the axis and back, in float32 or
float64, many of them become smaller than the integer that they were."""


def _lengths(size: int) -> Problem:
    targets = [(np.arange(labels) % 4 + 1).tolist() for _, labels in LENGTHS[size]]
    return make_problem(random_scores(len(targets), size, 5, size), targets, [frames for frames, _ in LENGTHS[size]])


def _long() -> Problem:
    """Uniform labels and scores 3 N(0, 1): one row of the workload `long` of the benchmarks."""
    rng = np.random.default_rng(0)
    logits = (3 * rng.normal(size=(1, 4000, 32))).astype(np.float32)
    return make_problem(logits, rng.integers(1, 32, (1, 800)).tolist())


def problem_of_size(time: int, classes: int, labels: int, batch: int = 1, last: bool = False) -> Problem:
    """Random scores and labels, always the same; with `last`, each target has the last class."""
    rng = np.random.default_rng(time + 31 * classes + 7 * labels)
    targets = rng.integers(1, max(2, classes), (batch, labels)).tolist()
    if last:
        targets = [[classes - 1, *row[1:]] for row in targets]
    return make_problem(random_scores(batch, time, classes, time + classes), targets)


def problem_of_lengths(axis: int) -> Problem:
    """One label in as many frames as each of `telling_lengths`, and as many labels in all frames."""
    lengths = telling_lengths(axis)
    targets = [[1]] * len(lengths) + [(np.arange(labels) % 4 + 1).tolist() for labels in lengths]
    return make_problem(random_scores(len(targets), axis, 5, axis), targets, [*lengths, *[axis] * len(lengths)])


POWERS = (16, 32, 64, 128, 256, 512)
"""Typical sizes of vectors, buffers and counters."""


def problems_around_powers(powers: Sequence[int] = POWERS) -> Iterator[tuple[str, Problem]]:
    """For each axis and each power of two n, the sizes n - 1, n and n + 1: description and problem."""
    for n in (power + more for power in powers for more in (-1, 0, 1)):
        yield f"{n} classes", problem_of_size(6, n, 2, 2, last=True)
        yield f"{n} frames", problem_of_size(n, 5, 3, 2)
        yield f"{n} rows", problem_of_size(4, 3, 1, n)
        yield f"{n} labels", problem_of_size(2 * n + 16, 5, n)


CASES: tuple[Case, ...] = (
    Case(
        "one row in a batch of four",
        "batch-mates",
        "transformers#47688",
        lambda: _uneven_lengths().select_rows([0, 1, 2, 0]),
    ),
    Case("gradient past a row's frames", "padding", "tensorflow#41280", lambda: _uneven_lengths()),
    Case("labels padded with -1", "nan-in-padding", "keras#21876", lambda: _padded_with(-1)),
    *(
        Case(
            f"lengths in {size} frames and labels", "padding", "speechbrain: relative lengths", partial(_lengths, size)
        )
        for size in LENGTHS
    ),
    Case("scores that are not log-probabilities", "frame-shift", "deepspeech.pytorch#488", lambda: _single_row(4.0)),
    Case("gradient by logits or by log-probs", "rows-sum-to-0", "pytorch#52241", lambda: _single_row(0.0)),
    Case("blank is the last class", "relabelling", "tensorflow#42488", lambda: _blank_last()),
    Case("derivative of the loss", "finite-differences", "pytorch#181534", lambda: _single_row(0.0)),
    Case(
        "[1, 1, 1, 1] in 6 frames",
        "impossible",
        "DeepSpeech#1629",
        lambda: make_problem(random_scores(1, 6, 4), [[1] * 4]),
    ),
    Case(
        "more labels than frames",
        "impossible",
        "returnn#1835",
        lambda: make_problem(random_scores(1, 2, 4), [[1, 2, 3]]),
    ),
    Case("all paths have -inf", "impossible", "tensorflow#33462", _all_minus_inf),
    Case(
        "all scores equal", "definition", "an untrained model", lambda: make_problem(np.zeros((1, 7, 5)), [[3, 3, 1]])
    ),
    Case("-inf scores, other paths fit", "closed-scores", "pytorch#21680", _some_minus_inf),
    Case("a class masked with -10,000", "masked", "axlearn#211", lambda: _masked(-1e4)),
    Case("a class masked with the minimum of float32", "impossible", "chainer#5614", lambda: _masked(-3.4e38)),
    Case("a confident model that is wrong", "extreme-scores", "pytorch#21680", lambda: _single_row(0.0, 700.0)),
    Case("a confident model that is right", "non-negative", "optax#1771", _confident),
    Case("NaN in padded frames", "nan-in-padding", "tensorflow#41280", _nan_padding),
    Case("+inf in a frame", "nan-in-a-row", "the contract", lambda: _with_score(np.inf, 2)),
    Case("a frame of only -inf", "nan-in-a-row", "the contract", lambda: _with_score(-np.inf, slice(None))),
    Case(
        "label 7 of 4 classes",
        "refuses-labels",
        "pytorch#191568",
        lambda: make_problem(random_scores(1, 6, 4), [[1, 7]]),
    ),
    Case("label -3", "refuses-labels", "pytorch#189670", lambda: make_problem(random_scores(1, 6, 4), [[1, -3]])),
    Case(
        "the blank in a target",
        "refuses-labels",
        "transformers#12270",
        lambda: make_problem(random_scores(1, 6, 4), [[1, 0, 2]]),
    ),
    Case(
        "a length past the frames",
        "refuses-lengths",
        "optax: masks",
        lambda: make_problem(random_scores(1, 6, 4), [[1, 2]], [9]),
    ),
    Case("an empty target", "empty", "pytorch#18215", lambda: make_problem(random_scores(2, 5, 4), [[1, 2], []])),
    Case("only empty targets", "empty", "pytorch#18215", lambda: make_problem(random_scores(2, 5, 4), [[], []])),
    Case(
        "no frames, no labels",
        "empty",
        "pytorch#18215",
        lambda: make_problem(random_scores(2, 5, 4), [[1], []], [5, 0]),
    ),
    Case("an empty batch", "empty", "the contract", lambda: make_problem(np.zeros((0, 5, 4)), [])),
    Case("one class", "empty", "the contract", lambda: make_problem(random_scores(1, 5, 1), [[]])),
    *(
        Case(f"{t} frames, {c} classes, {n} labels", "sizes", thread, partial(problem_of_size, t, c, n, b), full)
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


def _uneven_lengths() -> Problem:
    return make_problem(random_scores(3, 6, 4, 3), [[1, 2, 2], [3], [2, 1]], [6, 3, 4])


def _single_row(shift: float, scale: float = 1.0) -> Problem:
    return make_problem(scale * random_scores(1, 5, 4, 5) + shift, [[2, 1]])


def _blank_last() -> Problem:
    return make_problem(random_scores(2, 6, 4, 6), [[0, 1], [2]], blank=3)
