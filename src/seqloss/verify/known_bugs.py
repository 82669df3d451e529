"""What may be wrong, in words: the mistakes that people make, each as a computation that makes it.

The likely cause of a failure is found by trying. A implementation is asked about a few problems on which the mistakes
differ; if its losses (or its gradients) are everywhere what one mistake gives, that mistake is named.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from seqloss.verify.ordinary import ordinary
from seqloss.verify.problem import Problem, problem
from seqloss.verify.runner import Judged, Runner, Unanswered, log_softmax

CLOSE = 2e-4
"""Relative; a mistake that changes less than this is not told apart."""


@dataclass(frozen=True)
class Rules:
    """How one row is computed, where mistakes are made. The defaults are right."""

    scores: Callable[[np.ndarray], np.ndarray] = log_softmax
    skip: str = "differs"  # or "never", "always"
    starts: tuple[int, ...] = (0, 1)
    ends: tuple[int, ...] = (0, 1)  # from the end
    best_only: bool = False
    frames: Callable[[Problem, int], slice] = lambda p, n: slice(0, int(p.logit_lengths[n]))
    labels: Callable[[Problem, int], list[int]] = lambda p, n: p.label_rows()[n]
    blank: Callable[[Problem], int] = lambda p: p.blank
    after: Callable[[Problem, int, float], float] = lambda p, n, loss: loss


def loss_of(rules: Rules, given: Problem) -> np.ndarray:
    """Losses (batch,) of a computation that follows these rules."""
    losses = []
    for n in range(len(given.logits)):
        logits, labels, blank = given.logits[n, rules.frames(given, n)], rules.labels(given, n), rules.blank(given)
        try:
            loss = _row(rules, rules.scores(logits), labels, blank)
        except IndexError:
            loss = np.nan
        losses.append(rules.after(given, n, loss))
    return np.array(losses)


def _row(rules: Rules, logs: np.ndarray, labels: list[int], blank: int) -> float:
    """Graves' recursion over the states blank, label, blank, ..."""
    states = [blank]
    for label in labels:
        states += [label, blank]
    add = np.maximum if rules.best_only else np.logaddexp
    here = np.full(len(states), -np.inf)
    if len(logs) == 0:
        return 0.0 if not labels else np.inf
    starts = [s for s in rules.starts if s < len(states)]
    here[starts] = logs[0, [states[s] for s in starts]]
    for frame in logs[1:]:
        before = here.copy()
        for s in range(len(states)):
            total = before[s]
            if s > 0:
                total = add(total, before[s - 1])
            if s > 1 and _skips(rules.skip, states, s, blank):
                total = add(total, before[s - 2])
            here[s] = total + frame[states[s]]
    last = [len(states) - 1 - e for e in rules.ends if e < len(states)]
    return -float(add.reduce(here[last]))


def _skips(rule: str, states: list[int], s: int, blank: int) -> bool:
    if s % 2 == 0 or rule == "never":
        return False
    return rule == "always" or states[s] != states[s - 2]


def _twice(logits: np.ndarray) -> np.ndarray:
    return log_softmax(np.exp(log_softmax(logits)))


def _floored(logits: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(np.exp(log_softmax(logits)), 1e-7))


def _halved(logits: np.ndarray) -> np.ndarray:
    return log_softmax(logits.astype(np.float16).astype(np.float64))


def _scaled(factor: float, logits: np.ndarray) -> np.ndarray:
    return log_softmax(factor * logits)


def _without_last(logits: np.ndarray) -> np.ndarray:
    return logits - np.logaddexp.reduce(logits[:, :-1], axis=1)[:, None]


def _all_frames(p: Problem, n: int) -> slice:
    return slice(0, p.logits.shape[1])


def _all_labels(p: Problem, n: int) -> list[int]:
    return p.targets[n].tolist()


def _cut_share(length: int, axis: int) -> int:
    """A length that was a share of its axis in between: rounded to float32, and truncated."""
    share = np.float32(length / max(1, axis))
    return int(share * np.float32(axis))


def _shared_frames(p: Problem, n: int) -> slice:
    return slice(0, _cut_share(int(p.logit_lengths[n]), p.logits.shape[1]))


def _shared_labels(p: Problem, n: int) -> list[int]:
    return p.targets[n, : _cut_share(int(p.target_lengths[n]), p.targets.shape[1])].tolist()


KNOWN_BUGS: tuple[tuple[str, Rules], ...] = (
    ("softmax is taken twice: what it is given are scores, not probabilities", Rules(scores=_twice)),
    ("softmax is missing: raw scores are taken for log-probabilities", Rules(scores=lambda x: x)),
    ("softmax runs over one class too few: the vocabulary is one too small", Rules(scores=_without_last)),
    ("probabilities are floored at 1e-7", Rules(scores=_floored)),
    ("scores are rounded to float16", Rules(scores=_halved)),
    ("equal neighbours are merged without a blank between: a repeat may be skipped to", Rules(skip="always")),
    ("the blank between two different labels is never skipped", Rules(skip="never")),
    ("paths that end in the last label are left out: only the final blank is read", Rules(ends=(0,))),
    ("paths that end in a blank are left out: only the last label is read", Rules(ends=(1,))),
    ("paths that start with the first label are left out", Rules(starts=(0,))),
    ("paths that start with a blank are left out", Rules(starts=(1,))),
    ("the best path alone is scored, not the sum over all", Rules(best_only=True)),
    ("the blank is taken to be class 0, whatever it is told", Rules(blank=lambda p: 0)),
    ("the blank is taken to be the last class, whatever it is told", Rules(blank=lambda p: p.logits.shape[2] - 1)),
    ("the blank's index is off by one", Rules(blank=lambda p: p.blank - 1)),
    ("the blank's index is off by one", Rules(blank=lambda p: (p.blank + 1) % p.logits.shape[2])),
    ("logit_lengths are ignored: padding is counted", Rules(frames=_all_frames)),
    ("target_lengths are ignored: labels in the padding are read", Rules(labels=_all_labels)),
    ("both lengths are ignored: padding is counted", Rules(frames=_all_frames, labels=_all_labels)),
    (
        "lengths are given as shares of their axis and truncated: 7 of 23 becomes 6",
        Rules(frames=_shared_frames, labels=_shared_labels),
    ),
    (
        "logit_lengths are given as shares of the time axis and truncated: 7 of 23 becomes 6",
        Rules(frames=_shared_frames),
    ),
    (
        "target_lengths are given as shares of the labels axis and truncated: 13 of 22 becomes 12",
        Rules(labels=_shared_labels),
    ),
    (
        "the two lengths have changed places",
        Rules(
            frames=lambda p, n: slice(0, int(p.target_lengths[n])),
            labels=lambda p, n: p.targets[n, : p.logit_lengths[n]].tolist(),
        ),
    ),
    (
        "logit_lengths are off by one: a frame of padding is read",
        Rules(frames=lambda p, n: slice(0, int(p.logit_lengths[n]) + 1)),
    ),
    (
        "logit_lengths are off by one: the last frame is not read",
        Rules(frames=lambda p, n: slice(0, max(0, int(p.logit_lengths[n]) - 1))),
    ),
    ("the first frame is not read", Rules(frames=lambda p, n: slice(1, int(p.logit_lengths[n])))),
    ("the first two frames are not read", Rules(frames=lambda p, n: slice(2, int(p.logit_lengths[n])))),
    (
        "target_lengths are off by one: the last label is not read",
        Rules(labels=lambda p, n: p.label_rows()[n][:-1]),
    ),
    (
        "target_lengths are off by one: a label of padding is read",
        Rules(labels=lambda p, n: p.targets[n, : p.target_lengths[n] + 1].tolist()),
    ),
    ("the first row's target is used for every row", Rules(labels=lambda p, n: p.label_rows()[0])),
    ("the first row's frames are counted for every row", Rules(frames=lambda p, n: slice(0, int(p.logit_lengths[0])))),
    ("it is scaled by the batch: divided by the number of rows", Rules(after=lambda p, n, x: x / len(p.logits))),
    (
        "each loss is divided by its target's length",
        Rules(after=lambda p, n, x: x / max(1, int(p.target_lengths[n]))),
    ),
    (
        "the mean is taken twice: over labels and over the batch",
        Rules(after=lambda p, n, x: x / max(1, int(p.target_lengths[n])) / len(p.logits)),
    ),
    (
        "each loss is divided by its frames",
        Rules(after=lambda p, n, x: x / max(1, int(p.logit_lengths[n]))),
    ),
    ("the sign is missing: it is the log probability, not its negative", Rules(after=lambda p, n, x: -x)),
    ("it is the probability, not minus its logarithm", Rules(after=lambda p, n, x: float(np.exp(-x)))),
    ("it is minus the probability, not minus its logarithm", Rules(after=lambda p, n, x: -float(np.exp(-x)))),
    ("it is the probability's inverse: the logarithm is missing", Rules(after=lambda p, n, x: float(np.exp(x)))),
    ("targets are read from their end: labels are reversed", Rules(labels=lambda p, n: p.label_rows()[n][::-1])),
    ("the frames are read from their end", Rules(scores=lambda x: log_softmax(x)[::-1])),
    *((f"scores are multiplied by {k:g} before softmax", Rules(scores=partial(_scaled, k))) for k in (0.1, 0.5, 2, 10)),
    ("it is in bits, not in nats: a logarithm to base 2", Rules(after=lambda p, n, x: x / np.log(2))),
)


USUAL = {
    "answers": "",
    "repeatable": "a race: threads write to one place, sums change their order, or memory is read before it is written",
    "untouched": "it computes in place, in arrays that are the caller's",
    "digits": "sums in a narrower type than the scores', or a logarithm that is clipped",
    "batch-mates": "rows share something: a length, a target, a buffer or a divisor",
    "padding": "padding is counted: a length is ignored or off by one",
    "memory-layout": "memory is read in its own order, or as integers of another width",
    "upstream": "the gradient is not multiplied by the upstream one, row by row",
    "frame-shift": "softmax is missing, or runs over other classes than all",
    "rows-sum-to-0": "the gradient is that by log-probabilities, or softmax runs over other classes than all",
    "relabelling": "the blank's index, or a class' number, is built in or off by one",
    "time-reversal": "frames or final states at one end are left out",
    "certain-path": "softmax is taken twice, or states are not connected as they should be",
    "sums-to-1": "paths are counted twice or left out: look at what may follow what (blanks between repeats)",
    "cut": "probabilities are floored, clipped or rounded: small ones are not what they should be",
    "unused-class": "a class is left out of softmax: the vocabulary is too small",
    "rising-score": "a sign is turned, or scores are put through softmax after all",
    "finite-differences": "the gradient is not that of the loss: its sign, or a factor",
    "softmax-minus-posterior": "the gradient is not that of the loss",
    "definition": "not every path is summed, or with another weight",
    "closed-scores": "-inf minus -inf is NaN: a closed score meets another in a difference",
    "impossible": "a large number stands for minus infinity, or 0 times infinity for a gradient",
    "masked": "exp of a difference overflows, or logarithms are floored",
    "extreme-scores": "exp of a score overflows: subtract the frame's largest first",
    "non-negative": "rounding passes a probability of 1: return max(loss, 0)",
    "nan-in-padding": "padding is multiplied by 0 instead of being left out: 0 times NaN is NaN",
    "nan-in-a-row": "one row's NaN is summed into the others",
    "refuses-labels": "labels are not looked at before they are used as indices",
    "refuses-lengths": "lengths are not looked at before they are used",
    "empty": "the first label is read where there is none",
    "sizes": "a buffer has a fixed size, a counter is too narrow, or what is left after whole vectors is forgotten",
    "long": "rounding piles up over thousands of frames: logarithms near -1,000 are 6e-5 apart in float32",
}
"""What usually breaks a law, where no known bug's answers fit."""


def telling(few: bool = False) -> list[Problem]:
    """Problems on which the mistakes differ: those of `ordinary`, and rows with padding behind the labels."""
    rng = np.random.default_rng(11)
    scores = np.round(2 * rng.normal(size=(3, 8, 5)), 2)
    scores[:, :, 3] -= 12.0  # far under 1e-7
    padded = [problem(scores, [[3, 3, 1], [2], [4, 1]], [7, 8, 5], blank=0, padding=2)]
    if not few:
        padded.append(problem(scores[:2, :6, :4], [[0, 1], [3]], [6, 5], blank=2, padding=0))
        longer = np.round(rng.normal(size=(3, 23, 5)), 2)
        padded.append(problem(longer, [[1], [2, 3, 4, 1] * 3 + [2], [1, 3] * 11], [7, 23, 23]))
    return [*ordinary(few), *padded]


def likely(runner: Runner) -> str:
    """The mistake whose answers are this implementation's, in words; "" if none is."""
    asked: list[tuple[Problem, Judged]] = []
    for given in telling(runner.implementation.few_shapes):
        fit = runner.fit(given)
        try:
            asked.append((fit, runner.look(fit)))
        except Unanswered:
            continue
    if not asked:
        return ""
    right = [loss_of(_rules(runner), given) for given, _ in asked]
    same = all(_same(answer.loss, loss) for (_, answer), loss in zip(asked, right, strict=True))
    return _gradient_suspect(runner, asked) if same else _loss_suspect(asked, right)


def _rules(runner: Runner) -> Rules:
    return Rules() if runner.implementation.scores == "logits" else Rules(scores=lambda x: x)


def _loss_suspect(asked: Sequence[tuple[Problem, Judged]], right: Sequence[np.ndarray]) -> str:
    for words, rules in KNOWN_BUGS:
        if all(_same(answer.loss, loss_of(rules, given)) for given, answer in asked):
            return words
    factors = [_factor(answer.loss, loss) for (_, answer), loss in zip(asked, right, strict=True)]
    if all(f is not None and abs(f - factors[0]) < CLOSE for f in factors):  # type: ignore[operator]
        return f"every loss is {factors[0]:.4g} times what it should be"
    return ""


def _gradient_suspect(runner: Runner, asked: Sequence[tuple[Problem, Judged]]) -> str:
    """The losses are right; what the gradient is instead."""
    from seqloss.verify.laws.gradients import posteriors_of

    kinds: dict[str, Callable[[Problem, np.ndarray, np.ndarray], np.ndarray]] = {
        "": lambda p, soft, post: soft - post,
        "the gradient is that by log-probabilities: softmax's own derivative is missing": lambda p, soft, post: -post,
        "the gradient's sign is turned": lambda p, soft, post: post - soft,
        "the gradient is divided by the number of rows": lambda p, soft, post: (soft - post) / len(p.logits),
        "the gradient is softmax alone: nothing pulls towards the target": lambda p, soft, post: soft,
        "the gradient is 0 everywhere": lambda p, soft, post: 0 * soft,
    }
    if runner.implementation.scores != "logits" or any(answer.gradient is None for _, answer in asked):
        return ""
    for words, kind in kinds.items():
        same = True
        for given, answer in asked:
            inside = (np.arange(given.logits.shape[1]) < given.logit_lengths[:, None])[:, :, None]
            soft = np.where(inside, np.exp(log_softmax(given.logits)), 0.0)
            expected = kind(given, soft, posteriors_of(given))
            assert answer.gradient is not None
            same &= bool((np.abs(answer.gradient - expected) <= CLOSE).all())
        if same:
            return words
    if all(_right_inside(given, answer) for given, answer in asked):
        return "the gradient is not 0 past the rows' lengths"
    factors = [_gradient_factor(given, answer) for given, answer in asked]
    if all(f is not None and abs(f - factors[0]) < CLOSE for f in factors):  # type: ignore[operator]
        return f"the gradient is {factors[0]:.4g} times what it should be"
    return ""


def _gradient_factor(given: Problem, answer: Judged) -> float | None:
    """What every entry is multiplied by."""
    expected = _inside(given)
    assert answer.gradient is not None
    factor = float((answer.gradient * expected).sum() / np.maximum((expected**2).sum(), 1e-300))
    return factor if (np.abs(answer.gradient - factor * expected) <= CLOSE * (1 + abs(factor))).all() else None


def _inside(given: Problem) -> np.ndarray:
    """The right gradient: softmax minus posterior, and 0 past the rows' lengths."""
    from seqloss.verify.laws.gradients import posteriors_of

    inside = (np.arange(given.logits.shape[1]) < given.logit_lengths[:, None])[:, :, None]
    return np.where(inside, np.exp(log_softmax(given.logits)) - posteriors_of(given), 0.0)


def _right_inside(given: Problem, answer: Judged) -> bool:
    inside = (np.arange(given.logits.shape[1]) < given.logit_lengths[:, None])[:, :, None]
    assert answer.gradient is not None
    return bool((np.abs(np.where(inside, answer.gradient - _inside(given), 0.0)) <= CLOSE).all())


def of_label(runner: Runner) -> str:
    """What is read in place of a label that is no class; the scores of other rows and frames are told apart."""
    rng = np.random.default_rng(13)
    given = runner.fit(problem(np.round(rng.normal(size=(1, 5, 4)), 2), [[1, 2]]))
    classes, time = 4, 5
    wrong = {6: given.but(targets=np.array([[1, 6]])), -2: given.but(targets=np.array([[1, -2]]))}
    for label, one in wrong.items():
        answer = runner.raw(one)
        if answer.loss is None or answer.raised:
            continue
        found = float(np.ravel(np.asarray(answer.loss, np.float64))[0])
        logs = log_softmax(one.logits)[0]
        flat = np.resize(np.r_[logs.ravel(), np.zeros(classes)], time * classes + classes)
        beyond = np.array([flat[(t * classes + label) % len(flat)] for t in range(time)])[:, None]
        nothing = np.full((time, 1), -np.inf)
        kinds = {
            "labels are clipped into the classes": logs[:, [int(np.clip(label, 0, classes - 1))]],
            "a negative label counts from the end": logs[:, [label % classes]],
            "it reads past the row: a label that is no class takes the score of another frame or row": beyond,
            "a label that is no class is taken for one that costs nothing": np.zeros((time, 1)),
            "a label that is no class is taken for one with no probability": nothing,
        }
        for words, column in kinds.items():
            rules = Rules(scores=lambda x, c=column: np.concatenate([log_softmax(x), c], axis=1))  # type: ignore[misc]
            loss = loss_of(rules, one.but(targets=np.array([[1, classes]])))[0]
            if _same(np.array([found]), np.array([loss])):
                return words
    return ""


def _same(found: np.ndarray, expected: np.ndarray) -> bool:
    with np.errstate(invalid="ignore"):
        near = (found == expected) | (np.abs(found - expected) <= CLOSE * (1 + np.abs(expected)))
        near |= (found == 0) & (expected < 0)  # many keep a loss from falling below 0
    return bool((near | (np.isnan(found) & np.isnan(expected))).all())


def _factor(found: np.ndarray, expected: np.ndarray) -> float | None:
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = found / expected
    return float(ratios[0]) if np.isfinite(ratios).all() and np.ptp(ratios) < CLOSE else None
