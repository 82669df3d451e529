"""Known bugs of CTC implementations, each with a computation that has it.

`diagnosis` compares the losses of an implementation with these.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from seqloss.verify.problem import Problem
from seqloss.verify.runner import log_softmax


@dataclass(frozen=True)
class Variant:
    """How the loss of a row is computed. The defaults give the correct loss; each known bug changes some of them.

    Attributes:
        scores: computes log-probabilities (time, classes) from logits.
        skip: when the blank between two labels can be skipped: "differs" (they differ), "never" or "always".
        starts: states in which paths can start.
        ends: states in which paths can end, counted from the last.
        best_only: use the best path instead of the sum over all paths.
        frames: the frames that are used, for a problem and a row.
        labels: the target that is used.
        blank: the blank that is used.
        after: changes the loss of the row.
    """

    scores: Callable[[np.ndarray], np.ndarray] = log_softmax
    skip: str = "differs"
    starts: tuple[int, ...] = (0, 1)
    ends: tuple[int, ...] = (0, 1)
    best_only: bool = False
    frames: Callable[[Problem, int], slice] = lambda p, n: slice(0, int(p.logit_lengths[n]))
    labels: Callable[[Problem, int], list[int]] = lambda p, n: p.label_rows()[n]
    blank: Callable[[Problem], int] = lambda p: p.blank
    after: Callable[[Problem, int, float], float] = lambda p, n, loss: loss


def variant_losses(variant: Variant, given: Problem) -> np.ndarray:
    """The losses (batch,) of a computation with these variant."""
    losses = []
    for n in range(len(given.logits)):
        logits, labels, blank = (
            given.logits[n, variant.frames(given, n)],
            variant.labels(given, n),
            variant.blank(given),
        )
        try:
            loss = _row(variant, variant.scores(logits), labels, blank)
        except IndexError:
            loss = np.nan
        losses.append(variant.after(given, n, loss))
    return np.array(losses)


def _row(variant: Variant, logs: np.ndarray, labels: list[int], blank: int) -> float:
    """The forward recursion over the states blank, label, blank, ..."""
    states = [blank]
    for label in labels:
        states += [label, blank]
    add = np.maximum if variant.best_only else np.logaddexp
    alphas = np.full(len(states), -np.inf)
    if len(logs) == 0:
        return 0.0 if not labels else np.inf
    starts = [s for s in variant.starts if s < len(states)]
    alphas[starts] = logs[0, [states[s] for s in starts]]
    for frame in logs[1:]:
        before = alphas.copy()
        for s in range(len(states)):
            total = before[s]
            if s > 0:
                total = add(total, before[s - 1])
            if s > 1 and _skips(variant.skip, states, s):
                total = add(total, before[s - 2])
            alphas[s] = total + frame[states[s]]
    last = [len(states) - 1 - e for e in variant.ends if e < len(states)]
    return -float(add.reduce(alphas[last]))


def _skips(rule: str, states: list[int], s: int) -> bool:
    if s % 2 == 0 or rule == "never":
        return False
    return rule == "always" or states[s] != states[s - 2]


def _softmax_twice(logits: np.ndarray) -> np.ndarray:
    return log_softmax(np.exp(log_softmax(logits)))


def _clipped(logits: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(np.exp(log_softmax(logits)), 1e-7))


def _rounded_to_float16(logits: np.ndarray) -> np.ndarray:
    return log_softmax(logits.astype(np.float16).astype(np.float64))


def _scaled(factor: float, logits: np.ndarray) -> np.ndarray:
    return log_softmax(factor * logits)


def _softmax_without_last_class(logits: np.ndarray) -> np.ndarray:
    return logits - np.logaddexp.reduce(logits[:, :-1], axis=1)[:, None]


def _all_frames(p: Problem, n: int) -> slice:
    return slice(0, p.logits.shape[1])


def _all_labels(p: Problem, n: int) -> list[int]:
    return p.targets[n].tolist()


def _truncate_fraction(length: int, axis: int) -> int:
    """A length that is converted to a float32 fraction of its axis and back, and truncated."""
    fraction = np.float32(length / max(1, axis))
    return int(fraction * np.float32(axis))


def _frames_from_fraction(p: Problem, n: int) -> slice:
    return slice(0, _truncate_fraction(int(p.logit_lengths[n]), p.logits.shape[1]))


def _labels_from_fraction(p: Problem, n: int) -> list[int]:
    return p.targets[n, : _truncate_fraction(int(p.target_lengths[n]), p.targets.shape[1])].tolist()


KNOWN_BUGS: tuple[tuple[str, Variant], ...] = (
    ("softmax is applied twice: the loss expects logits, not probabilities", Variant(scores=_softmax_twice)),
    ("softmax is missing: logits are used as log-probabilities", Variant(scores=lambda x: x)),
    ("softmax is over one class too few: the vocabulary is too small", Variant(scores=_softmax_without_last_class)),
    ("probabilities are clipped at 1e-7", Variant(scores=_clipped)),
    ("scores are rounded to float16", Variant(scores=_rounded_to_float16)),
    (
        "repeated labels are merged without a blank between them: a repeat must not be skipped to",
        Variant(skip="always"),
    ),
    ("the blank between two different labels is never skipped", Variant(skip="never")),
    ("paths that end in the last label are missing: only the final blank is used", Variant(ends=(0,))),
    ("paths that end in the final blank are missing: only the last label is used", Variant(ends=(1,))),
    ("paths that start with the first label are missing", Variant(starts=(0,))),
    ("paths that start with a blank are missing", Variant(starts=(1,))),
    ("only the best path is used, not the sum over all paths", Variant(best_only=True)),
    ("the blank is always class 0: the argument `blank` is ignored", Variant(blank=lambda p: 0)),
    (
        "the blank is always the last class: the argument `blank` is ignored",
        Variant(blank=lambda p: p.logits.shape[2] - 1),
    ),
    ("the index of the blank is off by one", Variant(blank=lambda p: p.blank - 1)),
    ("the index of the blank is off by one", Variant(blank=lambda p: (p.blank + 1) % p.logits.shape[2])),
    ("logit_lengths are ignored: padding frames are used", Variant(frames=_all_frames)),
    ("target_lengths are ignored: padding labels are used", Variant(labels=_all_labels)),
    ("both lengths are ignored: padding is used", Variant(frames=_all_frames, labels=_all_labels)),
    (
        "lengths are fractions of their axes, and truncated: 7 of 23 becomes 6",
        Variant(frames=_frames_from_fraction, labels=_labels_from_fraction),
    ),
    (
        "logit_lengths are fractions of the time axis, and truncated: 7 of 23 becomes 6",
        Variant(frames=_frames_from_fraction),
    ),
    (
        "target_lengths are fractions of the label axis, and truncated: 13 of 22 becomes 12",
        Variant(labels=_labels_from_fraction),
    ),
    (
        "logit_lengths and target_lengths are swapped",
        Variant(
            frames=lambda p, n: slice(0, int(p.target_lengths[n])),
            labels=lambda p, n: p.targets[n, : p.logit_lengths[n]].tolist(),
        ),
    ),
    (
        "logit_lengths are off by one: a padding frame is used",
        Variant(frames=lambda p, n: slice(0, int(p.logit_lengths[n]) + 1)),
    ),
    (
        "logit_lengths are off by one: the last frame is not used",
        Variant(frames=lambda p, n: slice(0, max(0, int(p.logit_lengths[n]) - 1))),
    ),
    ("the first frame is not used", Variant(frames=lambda p, n: slice(1, int(p.logit_lengths[n])))),
    ("the first two frames are not used", Variant(frames=lambda p, n: slice(2, int(p.logit_lengths[n])))),
    (
        "target_lengths are off by one: the last label is not used",
        Variant(labels=lambda p, n: p.label_rows()[n][:-1]),
    ),
    (
        "target_lengths are off by one: a padding label is used",
        Variant(labels=lambda p, n: p.targets[n, : p.target_lengths[n] + 1].tolist()),
    ),
    ("the target of the first row is used for every row", Variant(labels=lambda p, n: p.label_rows()[0])),
    (
        "the logit length of the first row is used for every row",
        Variant(frames=lambda p, n: slice(0, int(p.logit_lengths[0]))),
    ),
    ("the losses are divided by the batch size", Variant(after=lambda p, n, x: x / len(p.logits))),
    (
        "each loss is divided by its target length",
        Variant(after=lambda p, n, x: x / max(1, int(p.target_lengths[n]))),
    ),
    (
        "the mean is taken twice: over labels and over the batch",
        Variant(after=lambda p, n, x: x / max(1, int(p.target_lengths[n])) / len(p.logits)),
    ),
    (
        "each loss is divided by its number of frames",
        Variant(after=lambda p, n, x: x / max(1, int(p.logit_lengths[n]))),
    ),
    ("the sign is wrong: it returns the log-probability, not its negative", Variant(after=lambda p, n, x: -x)),
    ("it returns the probability, not its negative logarithm", Variant(after=lambda p, n, x: float(np.exp(-x)))),
    (
        "it returns the negative probability, not the negative logarithm",
        Variant(after=lambda p, n, x: -float(np.exp(-x))),
    ),
    ("it returns the inverse probability: the logarithm is missing", Variant(after=lambda p, n, x: float(np.exp(x)))),
    ("the labels are in reverse order", Variant(labels=lambda p, n: p.label_rows()[n][::-1])),
    ("the frames are in reverse order", Variant(scores=lambda x: log_softmax(x)[::-1])),
    *(
        (f"scores are multiplied by {k:g} before softmax", Variant(scores=partial(_scaled, k)))
        for k in (0.1, 0.5, 2, 10)
    ),
    ("the loss is in bits, not in nats: the logarithm has base 2", Variant(after=lambda p, n, x: x / np.log(2))),
)
"""Description of a bug, and how the loss is computed with it."""
