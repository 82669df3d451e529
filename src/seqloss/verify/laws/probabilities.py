"""Laws that follow from loss = -log P(y), where P is a probability distribution over label sequences."""

from __future__ import annotations

import itertools

import numpy as np

from seqloss.reference import paths
from seqloss.verify.laws.law import Law, Violation, format_distinct, format_number, most_severe
from seqloss.verify.problem import Problem, frames_required, make_problem
from seqloss.verify.runner import Runner, log_softmax
from seqloss.verify.severity import CARELESS, WRONG

FRAMES, CLASSES = 4, 3
"""Size of the problems of `sums-to-1`: 4 frames of 3 classes have 15 label sequences or more."""

MARGIN = 40.0
"""Difference of scores in nats for a path of probability 1: all other paths together have less than 1e-15."""

MARGINS = np.r_[2.0, 8.0, 16.0, np.arange(20.0, 40.0, 0.5), 60.0]
"""Differences of scores in nats around which a probability rounds to 1, or a sum of several to more."""


def check_certain_path(runner: Runner, problem: Problem) -> Violation | None:
    """Scores for which one path has probability 1: the labels, blanks where needed, then blanks."""
    logits = np.full(problem.logits.shape, -MARGIN)
    for n, labels in enumerate(problem.label_rows()):
        for t, k in enumerate(make_path(labels, problem.logits.shape[1], problem.blank)):
            logits[n, t, k] = 0.0
    certain = runner.adapt(problem.replace(logits=logits))
    found = runner.finite_outputs(certain).loss
    for n in range(len(found)):
        if not abs(found[n]) <= 1e-6:
            why = "one path has probability 1 and collapses to the target, so P(target) = 1"
            return Violation(certain, f"row {n}: loss 0", f"row {n}: loss {format_number(found[n])}", why)
    return None


def make_path(labels: list[int], frames: int, blank: int) -> list[int]:
    """The path that collapses to the labels, each as early as possible."""
    path: list[int] = []
    for label in labels:
        path += [blank, label] if path and path[-1] == label else [label]
    return path + [blank] * (frames - len(path))


def check_sums_to_1(runner: Runner, problem: Problem) -> Violation | None:
    """Sums the probabilities of all label sequences for the first frames of the first row."""
    few = min(problem.logits.shape[1], FRAMES)
    keep = sorted({problem.blank, *(k for k in range(problem.logits.shape[2]) if k != problem.blank)})
    keep = sorted([problem.blank, *[k for k in keep if k != problem.blank][: CLASSES - 1]])
    blank = keep.index(problem.blank)
    one = runner.adapt(make_problem(problem.logits[:1, :few][:, :, keep], [[]], blank=blank))
    blank, labels = one.blank, [k for k in range(len(keep)) if k != one.blank]
    total, tolerance, worst = _probability_of_blanks(one), 0.0, (0.0, one, 0.0, 0.0)
    for count in range(1, few + 1):
        rows = [list(row) for row in itertools.product(labels, repeat=count) if frames_required(row) <= few]
        if not rows:
            continue
        adapted = make_problem(np.repeat(one.logits, len(rows), axis=0), rows, blank=blank)
        found = np.exp(-runner.finite_outputs(adapted).loss)
        total, tolerance = total + float(found.sum()), tolerance + float(np.max(runner.loss_tolerance(adapted)))
        scores = one.logits[0] if runner.implementation.scores == "log_probs" else log_softmax(one.logits)[0]
        exact = np.exp([paths.log_probability(scores, row, blank) for row in rows])
        n = int(np.argmax(np.abs(found - exact)))
        worst = max(worst, (abs(found[n] - exact[n]), adapted.unpadded_row(n), exact[n], found[n]), key=lambda w: w[0])
    if abs(total - 1) <= tolerance + 1e-14:
        return None
    _, shown, exact_one, found_one = worst
    why = (
        f"{few} frames: the probabilities of all label sequences must sum to 1, and sum to {format_number(total)}. "
        f"P({shown.label_rows()[0]}) is {format_number(exact_one)}, not {format_number(found_one)}"
    )
    with np.errstate(divide="ignore"):
        return Violation(
            shown, f"loss {format_number(-np.log(exact_one))}", f"loss {format_number(-np.log(found_one))}", why
        )


def _probability_of_blanks(one: Problem) -> float:
    """The probability of the empty sequence, computed here: not all implementations support empty targets."""
    scores = one.logits[0]
    whole = np.logaddexp.reduce(scores, axis=1) if len(scores) else np.zeros(0)
    return float(np.exp((scores[:, one.blank] - whole).sum()))


def check_cut(runner: Runner, problem: Problem) -> Violation | None:
    """Inserts a frame in which the blank has probability 1, between any two frames of each row."""
    for n in range(len(problem.logits)):
        one = problem.unpadded_row(n)
        for frame in range(1, one.logits.shape[1]):
            found = _check_cut_at(frame, runner, one)
            if found is not None:
                return found
    return None


def _check_cut_at(frame: int, runner: Runner, one: Problem) -> Violation | None:
    frames, labels = one.logits.shape[1], one.label_rows()[0]
    separator = np.full((1, 1, one.logits.shape[2]), -60.0)
    separator[0, 0, one.blank] = 0.0
    halves = one.logits[:, :frame], one.logits[:, frame:]
    joined = runner.adapt(
        one.replace(logits=np.concatenate([halves[0], separator, halves[1]], 1), logit_lengths=np.array([frames + 1]))
    )
    logs = []
    for k in range(len(labels) + 1):
        sides = labels[:k], labels[k:]
        fit = all(frames_required(side) <= half.shape[1] for half, side in zip(halves, sides, strict=True))
        if fit:
            logs.append(
                sum(_log_probability(runner, half, side, one.blank) for half, side in zip(halves, sides, strict=True))
            )
    if not logs:
        return None
    whole, allowed = runner.finite_outputs(joined).loss[0], runner.loss_tolerance(joined)[0]
    expected = -float(np.logaddexp.reduce(logs))
    if abs(whole - expected) <= 3 * allowed + 1e-12:
        return None
    wanted, got = format_distinct(expected, float(whole))
    why = "the paths before and after a certain blank are independent: P(y) = sum_k P(y[:k]) P(y[k:])"
    return Violation(joined, f"loss {wanted}", f"loss {got}", why)


def _log_probability(runner: Runner, half: np.ndarray, labels: list[int], blank: int) -> float:
    """Log-probability of labels in frames in which they fit."""
    one = runner.adapt(make_problem(half, [labels], blank=blank))
    return float(np.log(_probability_of_blanks(one))) if not labels else -float(runner.finite_outputs(one).loss[0])


def check_unused_class(runner: Runner, problem: Problem) -> Violation | None:
    """Raises the score of a class that is neither the blank nor in the target by two nats."""
    for n in range(len(problem.logits)):
        one = problem.unpadded_row(n)
        unused = sorted(set(range(one.logits.shape[2])) - {one.blank, *one.label_rows()[0]})
        if not unused or one.logits.shape[1] == 0:
            continue
        for k in {unused[0], unused[-1]}:
            raised = one.replace(logits=one.logits + 2.0 * (np.arange(one.logits.shape[2]) == k))
            raised = runner.adapt(raised)
            before, after = runner.finite_outputs(one).loss[0], runner.finite_outputs(raised).loss[0]
            least = float(np.log1p(_share(one, k) * np.expm1(2.0)).sum())
            if after >= before + 0.5 * least - 2 * runner.loss_tolerance(raised)[0] and np.isfinite(before):
                continue
            why = (
                f"class {k} is neither the blank nor in the target: if its probability rises, that of every path falls"
            )
            return Violation(
                raised,
                f"a loss above {format_number(before)}, by at least {format_number(least)}",
                f"loss {format_number(after)}",
                why,
                one,
            )
    return None


def _share(one: Problem, k: int) -> np.ndarray:
    scores = one.logits[0]
    return np.exp(scores[:, k] - np.logaddexp.reduce(scores, axis=1))


def check_rising_score(runner: Runner, problem: Problem) -> Violation | None:
    """Lowers log-probabilities by half a nat, then raises each class by itself in all frames."""
    problem = problem.replace(logits=problem.logits - 0.5)
    before = runner.finite_outputs(problem).loss
    for k in range(problem.logits.shape[2]):
        raised = problem.replace(logits=problem.logits + 0.5 * (np.arange(problem.logits.shape[2]) == k))
        after = runner.finite_outputs(raised).loss
        over = np.flatnonzero(after > before + 2 * runner.loss_tolerance(raised))
        if len(over):
            n = int(over[0])
            why = f"with a higher log-probability of class {k}, no path becomes less probable"
            return Violation(
                raised,
                f"row {n}: at most {format_number(before[n])}",
                f"row {n}: {format_number(after[n])}",
                why,
                problem,
            )
    return None


def check_non_negative(runner: Runner, problem: Problem) -> Violation | None:
    """Scores for which the target has probability 1, along one path or several. Rounding is careless."""
    confident = (_with_probability_near_1(problem), _with_several_paths(problem))
    return most_severe(_check_sign(runner, runner.adapt(one)) for one in confident)


def _check_sign(runner: Runner, problem: Problem) -> Violation | None:
    found, allowed = runner.finite_outputs(problem).loss, runner.loss_tolerance(problem)
    if not (found < 0).any():
        return None
    rounding = not (found < -allowed).any()
    n = int(np.flatnonzero((found < 0) if rounding else (found < -allowed))[0])
    why = "a probability is at most 1" + ("; this is rounding: return max(loss, 0)" if rounding else "")
    single = problem.select_rows([n])
    shown, row = (single, 0) if runner.finite_outputs(single).loss[0] < 0 else (problem, n)
    expected, got = f"row {row}: a loss of 0 or more", f"row {row}: loss {format_number(found[n])}"
    return Violation(shown, expected, got, why, severity=CARELESS if rounding else WRONG)


def _with_probability_near_1(problem: Problem) -> Problem:
    """Repeats each row, with one path of increasing probability."""
    path = [make_path(labels, problem.logits.shape[1], problem.blank) for labels in problem.label_rows()]
    on_path = np.arange(problem.logits.shape[2]) == np.array(path)[:, :, None]
    one = problem.select_rows(np.repeat(np.arange(len(problem.logits)), len(MARGINS)))
    margins = np.tile(MARGINS, len(problem.logits))[:, None, None]
    return one.replace(logits=np.where(np.repeat(on_path, len(MARGINS), axis=0), margins, 0.0) + 0.1 * one.logits)


def _with_several_paths(problem: Problem, rows: int = 64, labels: int = 4) -> Problem:
    """Every other frame has one label with probability 1; the frames between divide it between two labels."""
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
    return make_problem(logits, [target] * rows, blank=problem.blank)


CERTAIN_PATH = Law("certain-path", "loss = 0 if one path that collapses to y has probability 1.", check_certain_path)
SUMS_TO_1 = Law("sums-to-1", "sum_y P(y) = 1, over all label sequences y.", check_sums_to_1)
CUT = Law("cut", "If frame t is blank with probability 1, P(y) = sum_k P(y[:k] before t) P(y[k:] after t).", check_cut)
UNUSED_CLASS = Law(
    "unused-class",
    "A higher score of a class that is not the blank and not in y gives a higher loss.",
    check_unused_class,
    needs=frozenset({"logits"}),
)
RISING_SCORE = Law(
    "rising-score",
    "For log-probabilities, a higher score never gives a higher loss.",
    check_rising_score,
    needs=frozenset({"log_probs"}),
)
NON_NEGATIVE = Law("non-negative", "loss >= 0.", check_non_negative, needs=frozenset({"logits"}))
