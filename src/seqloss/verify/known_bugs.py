"""Known bugs of CTC implementations, each with a computation that has it.

`diagnosis` compares the losses of an implementation with these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import numpy as np

from seqloss.verify.length_fractions import CONVERSIONS, Conversion
from seqloss.verify.problem import Problem
from seqloss.verify.runner import log_softmax


@dataclass(frozen=True)
class Variant:
    """How the loss of a row is computed. The defaults give the correct loss; each known bug changes some of them.

    Attributes:
        logits: the logits of all rows (batch, time, classes), which a bug can mix.
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

    logits: Callable[[Problem], np.ndarray] = lambda p: p.logits
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
    """The losses (batch,) of a computation with this variant."""
    losses, logits, blank = [], variant.logits(given), variant.blank(given)
    for n in range(len(given.logits)):
        scores = variant.scores(logits[n, variant.frames(given, n)])
        try:
            loss = _row(variant, scores, variant.labels(given, n), blank)
        except IndexError:
            loss = np.nan
        losses.append(variant.after(given, n, loss))
    return np.array(losses)


def _row(variant: Variant, logs: np.ndarray, labels: list[int], blank: int) -> float:
    """The forward recursion over the states blank, label, blank, ..."""
    states = np.full(2 * len(labels) + 1, blank)
    states[1::2] = labels
    add = np.maximum if variant.best_only else np.logaddexp
    if len(logs) == 0:
        return 0.0 if not labels else np.inf
    alphas, skips = np.full(len(states), -np.inf), _skips(variant.skip, states)
    starts = [s for s in variant.starts if s < len(states)]
    alphas[starts] = logs[0, states[starts]]
    for frame in logs[1:, states]:
        total = alphas.copy()
        total[1:] = add(total[1:], alphas[:-1])
        total[skips] = add(total[skips], alphas[skips - 2])
        alphas = total + frame
    last = [len(states) - 1 - e for e in variant.ends if e < len(states)]
    return -float(add.reduce(alphas[last]))


def _skips(rule: str, states: np.ndarray) -> np.ndarray:
    """The states to which the blank before them can be skipped."""
    labels = np.arange(3, len(states), 2)
    if rule == "differs":
        return labels[states[labels] != states[labels - 2]]
    return labels if rule == "always" else labels[:0]


def _unchanged(scores: np.ndarray) -> np.ndarray:
    return scores


def _softmax_of_probabilities(log_probs: np.ndarray) -> np.ndarray:
    return log_softmax(np.exp(log_probs))


def _softmax_twice(logits: np.ndarray) -> np.ndarray:
    return _softmax_of_probabilities(log_softmax(logits))


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


def _converted_frames(conversion: Conversion, p: Problem, n: int) -> slice:
    return slice(0, int(conversion.convert(p.logit_lengths[n], p.logits.shape[1])))


def _converted_labels(conversion: Conversion, p: Problem, n: int) -> list[int]:
    return p.targets[n, : int(conversion.convert(p.target_lengths[n], p.targets.shape[1]))].tolist()


def _length_bugs(conversion: Conversion) -> list[tuple[str, Variant]]:
    """Both lengths, or one of them, are converted to fractions of their axes and back."""
    frames, labels = partial(_converted_frames, conversion), partial(_converted_labels, conversion)
    return [
        (conversion.describe("lengths", "the axis"), Variant(frames=frames, labels=labels)),
        (conversion.describe("logit_lengths", "the time axis"), Variant(frames=frames)),
        (conversion.describe("target_lengths", "the label axis"), Variant(labels=labels)),
    ]


def _merged_labels(p: Problem, n: int) -> list[int]:
    return [label for label, _ in groupby(p.label_rows()[n])]


def _over_axis(axis: int, p: Problem) -> np.ndarray:
    return log_softmax(p.logits.swapaxes(axis, 2)).swapaxes(axis, 2)


def _over_used_frames(logits: np.ndarray) -> np.ndarray:
    return log_softmax(logits.T).T


def _softmax_bugs() -> Iterator[tuple[str, Variant]]:
    """Softmax over another axis, alone or followed by the softmax over the classes of the loss."""
    over_time, over_batch = (f"softmax is over the {axis} axis instead of the classes" for axis in ("time", "batch"))
    for bug, axis in ((over_time, 1), (over_batch, 0)):
        for after in (_unchanged, log_softmax, _softmax_of_probabilities):
            yield bug, Variant(logits=partial(_over_axis, axis), scores=after)
    yield over_time, Variant(scores=_over_used_frames)


KNOWN_BUGS: tuple[tuple[str, Variant], ...] = (
    ("softmax is applied twice: the loss expects logits, not probabilities", Variant(scores=_softmax_twice)),
    ("softmax is missing: logits are used as log-probabilities", Variant(scores=_unchanged)),
    ("softmax is over one class too few: the vocabulary is too small", Variant(scores=_softmax_without_last_class)),
    *_softmax_bugs(),
    ("probabilities are clipped at 1e-7", Variant(scores=_clipped)),
    ("scores are rounded to float16", Variant(scores=_rounded_to_float16)),
    (
        "repeated labels are merged without a blank between them: a repeat must not be skipped to",
        Variant(skip="always"),
    ),
    (
        "repeated labels are merged in the target: [1, 1, 2] becomes [1, 2]; only paths are merged",
        Variant(labels=_merged_labels),
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
    *(bug for conversion in CONVERSIONS for bug in _length_bugs(conversion)),
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
