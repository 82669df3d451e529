"""A loss is minus the log of a probability, and probabilities add up."""

from __future__ import annotations

import itertools

import numpy as np

from seqloss.reference import paths
from seqloss.verify.laws.law import Law, Violation, number, unlike
from seqloss.verify.problem import Problem, required
from seqloss.verify.problem import problem as make
from seqloss.verify.runner import Runner, log_softmax

FRAMES, CLASSES = 4, 3
"""How much of a row "sums-to-1" takes: 4 frames of 3 classes can be read in 15 ways and more."""

SURE = 40.0
"""Nats between the classes of a sure model: all other paths together have a probability under 1e-15."""

SURENESS = np.r_[2.0, 8.0, 16.0, np.arange(20.0, 40.0, 0.5), 60.0]
"""Nats over the other classes of the path's: where a probability rounds to 1, sums of several may pass it."""


def certain_path(runner: Runner, problem: Problem) -> Violation | None:
    """Scores that spell the target frame by frame: label, label, blank where it is needed, then blanks."""
    logits = np.full(problem.logits.shape, -SURE)
    for n, labels in enumerate(problem.label_rows()):
        for t, k in enumerate(spelled(labels, problem.logits.shape[1], problem.blank)):
            logits[n, t, k] = 0.0
    sure = runner.fit(problem.but(logits=logits))
    found = runner.ask(sure).loss
    for n in range(len(found)):
        if not abs(found[n]) <= 1e-6:
            why = "one path has all the probability and spells the target, so the target's probability is 1"
            return Violation(sure, f"row {n}: loss 0", f"row {n}: loss {number(found[n])}", why)
    return None


def spelled(labels: list[int], frames: int, blank: int) -> list[int]:
    """A path that reads as the labels: as early as possible."""
    path: list[int] = []
    for label in labels:
        path += [blank, label] if path and path[-1] == label else [label]
    return path + [blank] * (frames - len(path))


def sums_to_1(runner: Runner, problem: Problem) -> Violation | None:
    """Every label sequence that the first row's frames can be read as."""
    few = min(problem.logits.shape[1], FRAMES)
    keep = sorted({problem.blank, *(k for k in range(problem.logits.shape[2]) if k != problem.blank)})
    keep = sorted([problem.blank, *[k for k in keep if k != problem.blank][: CLASSES - 1]])
    blank = keep.index(problem.blank)
    one = runner.fit(make(problem.logits[:1, :few][:, :, keep], [[]], blank=blank))
    blank, labels = one.blank, [k for k in range(len(keep)) if k != one.blank]
    total, apart, worst = _certain_blank(one), 0.0, (0.0, one, 0.0, 0.0)
    for count in range(1, few + 1):
        rows = [list(row) for row in itertools.product(labels, repeat=count) if required(row) <= few]
        if not rows:
            continue
        asked = make(np.repeat(one.logits, len(rows), axis=0), rows, blank=blank)
        found = np.exp(-runner.ask(asked).loss)
        total, apart = total + float(found.sum()), apart + float(np.max(runner.loss_tolerance(asked)))
        scores = one.logits[0] if runner.implementation.scores == "log_probs" else log_softmax(one.logits)[0]
        exact = np.exp([paths.total(scores, row, blank) for row in rows])
        n = int(np.argmax(np.abs(found - exact)))
        worst = max(worst, (abs(found[n] - exact[n]), asked.alone(n), exact[n], found[n]), key=lambda w: w[0])
    if abs(total - 1) <= apart + 1e-14:
        return None
    _, shown, exact_one, found_one = worst
    why = (
        f"{few} frames must be read as something, and the probabilities of all label sequences add up to 1: "
        f"here to {number(total)}. {shown.label_rows()[0]} has a probability of {number(exact_one)}, "
        f"not {number(found_one)}"
    )
    with np.errstate(divide="ignore"):
        return Violation(shown, f"loss {number(-np.log(exact_one))}", f"loss {number(-np.log(found_one))}", why)


def _certain_blank(one: Problem) -> float:
    """The probability of the empty sequence, from the scores themselves: not everyone promises empty targets."""
    scores = one.logits[0]
    whole = np.logaddexp.reduce(scores, axis=1) if len(scores) else np.zeros(0)
    return float(np.exp((scores[:, one.blank] - whole).sum()))


def cut(runner: Runner, problem: Problem) -> Violation | None:
    """Each row at each of its frames; the halves are kept apart by a frame that is blank for certain."""
    for n in range(len(problem.logits)):
        one = problem.alone(n)
        for frame in range(1, one.logits.shape[1]):
            found = _cut_at(frame, runner, one)
            if found is not None:
                return found
    return None


def _cut_at(frame: int, runner: Runner, one: Problem) -> Violation | None:
    frames, labels = one.logits.shape[1], one.label_rows()[0]
    apart = np.full((1, 1, one.logits.shape[2]), -60.0)
    apart[0, 0, one.blank] = 0.0
    halves = one.logits[:, :frame], one.logits[:, frame:]
    joined = runner.fit(
        one.but(logits=np.concatenate([halves[0], apart, halves[1]], 1), logit_lengths=np.array([frames + 1]))
    )
    logs = []
    for k in range(len(labels) + 1):
        sides = labels[:k], labels[k:]
        fit = all(required(side) <= half.shape[1] for half, side in zip(halves, sides, strict=True))
        if fit:
            logs.append(
                sum(_log_probability(runner, half, side, one.blank) for half, side in zip(halves, sides, strict=True))
            )
    if not logs:
        return None
    whole, allowed = runner.ask(joined).loss[0], runner.loss_tolerance(joined)[0]
    expected = -float(np.logaddexp.reduce(logs))
    if abs(whole - expected) <= 3 * allowed + 1e-12:
        return None
    wanted, got = unlike(expected, float(whole))
    why = "each half reads a part of the target: the probability is the sum over all places where it can be split"
    return Violation(joined, f"loss {wanted}", f"loss {got}", why)


def _log_probability(runner: Runner, half: np.ndarray, labels: list[int], blank: int) -> float:
    """Of a half that the labels fit."""
    one = runner.fit(make(half, [labels], blank=blank))
    return float(np.log(_certain_blank(one))) if not labels else -float(runner.ask(one).loss[0])


def unused_class(runner: Runner, problem: Problem) -> Violation | None:
    """Each row by itself: its first class that is neither blank nor in the target, two nats up."""
    for n in range(len(problem.logits)):
        one = problem.alone(n)
        unused = sorted(set(range(one.logits.shape[2])) - {one.blank, *one.label_rows()[0]})
        if not unused or one.logits.shape[1] == 0:
            continue
        for k in {unused[0], unused[-1]}:
            raised = one.but(logits=one.logits + 2.0 * (np.arange(one.logits.shape[2]) == k))
            raised = runner.fit(raised)
            before, after = runner.ask(one).loss[0], runner.ask(raised).loss[0]
            least = float(np.log1p(_share(one, k) * np.expm1(2.0)).sum())
            if after >= before + 0.5 * least - 2 * runner.loss_tolerance(raised)[0] and np.isfinite(before):
                continue
            why = f"class {k} is neither blank nor in the target: what it gains in probability, every path loses"
            return Violation(
                raised, f"a loss over {number(before)}, by {number(least)}", f"loss {number(after)}", why, one
            )
    return None


def _share(one: Problem, k: int) -> np.ndarray:
    scores = one.logits[0]
    return np.exp(scores[:, k] - np.logaddexp.reduce(scores, axis=1))


def rising_score(runner: Runner, problem: Problem) -> Violation | None:
    """Log-probabilities half a nat down, then each class by itself up again, in all frames."""
    problem = problem.but(logits=problem.logits - 0.5)
    before = runner.ask(problem).loss
    for k in range(problem.logits.shape[2]):
        raised = problem.but(logits=problem.logits + 0.5 * (np.arange(problem.logits.shape[2]) == k))
        after = runner.ask(raised).loss
        over = np.flatnonzero(after > before + 2 * runner.loss_tolerance(raised))
        if len(over):
            n = int(over[0])
            why = f"log-probabilities are multiplied along paths: with class {k} more probable no path loses"
            return Violation(
                raised, f"row {n}: at most {number(before[n])}", f"row {n}: {number(after[n])}", why, problem
            )
    return None


def non_negative(runner: Runner, problem: Problem) -> Violation | None:
    """Models whose paths that spell the target have all the probability, one path or several."""
    for sure in (_surer_and_surer(problem), _shared_out(problem)):
        asked = runner.fit(sure)
        found = runner.ask(asked).loss
        below = np.flatnonzero(found < 0)
        if not len(below):
            continue
        n = int(below[0])
        rounding = found[n] > -runner.loss_tolerance(asked)[n]
        why = "a probability is at most 1" + ("; this is rounding: return max(loss, 0)" if rounding else "")
        alone = asked.pick([n])
        shown, row = (alone, 0) if runner.ask(alone).loss[0] < 0 else (asked, n)
        return Violation(shown, f"row {row}: a loss of 0 or more", f"row {row}: loss {number(found[n])}", why)
    return None


def _surer_and_surer(problem: Problem) -> Problem:
    """Each row often, with one path that is more and more probable."""
    path = [spelled(labels, problem.logits.shape[1], problem.blank) for labels in problem.label_rows()]
    spelling = np.arange(problem.logits.shape[2]) == np.array(path)[:, :, None]
    one = problem.pick(np.repeat(np.arange(len(problem.logits)), len(SURENESS)))
    sureness = np.tile(SURENESS, len(problem.logits))[:, None, None]
    return one.but(logits=np.where(np.repeat(spelling, len(SURENESS), axis=0), sureness, 0.0) + 0.1 * one.logits)


def _shared_out(problem: Problem, rows: int = 64, labels: int = 4) -> Problem:
    """Every other frame is sure of a label, those between share out their probability between it and the next."""
    classes = max(problem.logits.shape[2], 3)
    rng = np.random.default_rng(classes)
    letters = [k for k in range(classes) if k != problem.blank][:2]
    target = [letters[k % 2] for k in range(labels)]
    logits = np.full((rows, 2 * labels, classes), -60.0)
    for k in range(labels):
        follows = target[k + 1] if k + 1 < labels else problem.blank
        logits[:, 2 * k, target[k]] = 0.0
        logits[:, 2 * k + 1, target[k]] = rng.normal(size=rows)
        logits[:, 2 * k + 1, follows] = rng.normal(size=rows)
    return make(logits, [target] * rows, blank=problem.blank)


CERTAIN_PATH = Law("certain-path", "A model that is sure of the target has a loss of 0.", certain_path)
SUMS_TO_1 = Law("sums-to-1", "The probabilities of all label sequences add up to 1.", sums_to_1)
CUT = Law("cut", "Cut at any frame by a certain blank, it is the sum over all splits of the target.", cut)
UNUSED_CLASS = Law(
    "unused-class", "Raising a class that no path uses raises the loss.", unused_class, needs=frozenset({"logits"})
)
RISING_SCORE = Law(
    "rising-score",
    "With log-probabilities no rising score raises the loss.",
    rising_score,
    needs=frozenset({"log_probs"}),
)
NON_NEGATIVE = Law("non-negative", "No loss is below 0.", non_negative, needs=frozenset({"logits"}))
