"""`verify`: all laws, for one implementation."""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from seqloss import errors
from seqloss.verify import known_bugs as known_bugs
from seqloss.verify.agreement import agreement, utterances
from seqloss.verify.asking import Absent, Here, Process
from seqloss.verify.cases import CASES, POWERS, Case, around
from seqloss.verify.implementation import Implementation
from seqloss.verify.laws import LAWS, Law, Violation
from seqloss.verify.laws.agreement import PRECISE, truth
from seqloss.verify.laws.edges import beyond_masks
from seqloss.verify.laws.law import number, parts, unlike
from seqloss.verify.ordinary import ordinary
from seqloss.verify.problem import Problem
from seqloss.verify.report import BREAKS, HOLDS, NOT_PROMISED, NOT_TRIED, Answered, Finding, Report, Result
from seqloss.verify.reproduce import script
from seqloss.verify.runner import Asked, Runner, Unanswered
from seqloss.verify.search import look

WIDEST = {
    "repeatable", "digits", "time-reversal", "relabelling", "certain-path", "sums-to-1", "cut", "finite-differences",
    "long",
}  # fmt: skip
"""Laws that are tried in the widest type of scores alone, where rounding hides least; the others in every type."""

AROUND_FEW = (32, 256)
"""Powers of two that are tried where each size costs a compilation, and not in a quick look."""

UNSAFE = {"refuses-labels", "refuses-lengths"}
"""Laws whose arguments make some implementations write past their arrays: a new process for what comes after."""

SLOW = "nothing is known of its values: it hangs, or is slow and needs a longer --limit (`Effort.limit`)"

Progress = Callable[[str, float], None]
"""Called with what is being tried and the share that is done."""


@dataclass(frozen=True)
class Effort:
    """How hard to try.

    Attributes:
        examples: problems that the search draws for a law.
        seconds: for all searches together; shrinking what was found may take as long again.
        full: also the large sizes.
        seed: of the search.
        first: stop at the first broken law.
        small: look for a smaller problem that breaks a broken law.
        limit: seconds for one call, after a warm-up in each type of scores in which it may compile.
        powers: of two; the sizes around them are tried.
    """

    examples: int = 12
    seconds: float = 4.0
    full: bool = False
    seed: int = 0
    first: bool = False
    small: bool = True
    limit: float = 20.0
    powers: Sequence[int] = (16, 32, 64, 256)


QUICK = Effort()
FULL = Effort(examples=400, seconds=240.0, full=True, limit=120.0, powers=POWERS)


def verify(
    function: str | Callable | Implementation,
    *,
    effort: Effort = QUICK,
    apart: bool = True,
    progress: Progress = lambda words, share: None,
) -> Report:
    """Hold a CTC implementation against the definition and the laws that follow from it.

    Args:
        function: `f(logits, targets, logit_lengths, target_lengths, blank)` on NumPy arrays, which returns
            `loss (batch,)` or `(loss, gradient)`; or where to find it, "package.module:function" or "file.py:function";
            or a `Implementation` that also says what it promises.
        effort: QUICK, FULL, or one of your own.
        apart: run it in a process of its own, so that it may crash or hang.
        progress: told what is being tried.

    Returns:
        a Report: `ok`, the broken laws with lines that reproduce them, and `str()`.

    Raises:
        VerifyError: the function cannot be loaded.

    Example:
        >>> import numpy as np
        >>> from seqloss.numpy import ctc_loss_and_grad
        >>> def mine(logits, targets, logit_lengths, target_lengths, blank):
        ...     return ctc_loss_and_grad(logits, targets, logit_lengths, target_lengths, blank=blank)
        >>> verify(mine, apart=False).ok
        True
    """
    implementation = function if isinstance(function, Implementation) else Implementation(_name(function), function)
    versions, missing = versions_of(implementation)
    if missing:
        return Report(implementation.name, versions, skipped=missing)
    if not apart:
        return _judge(Here(implementation), versions, effort, progress)
    try:
        with Process(implementation, effort.limit) as asked:
            return _judge(asked, versions, effort, progress)
    except Absent as reason:
        return Report(implementation.name, versions, skipped=str(reason))


def _name(function: str | Callable) -> str:
    return function if isinstance(function, str) else getattr(function, "__name__", repr(function))


def versions_of(implementation: Implementation) -> tuple[dict[str, str], str]:
    """Of the packages that an implementation needs; and, if one is missing, that it is."""
    versions = {}
    for package in implementation.packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            return versions, f"{package} is not installed"
    return versions, ""


def _judge(asked: Asked, versions: dict[str, str], effort: Effort, progress: Progress) -> Report:
    started = time.monotonic()
    runner = Runner(asked)
    results: list[Result] = []
    for number_, law in enumerate(LAWS):
        progress(law.name, number_ / (len(LAWS) + 2))
        results.append(judge_law(law, runner, effort))
        if effort.first and results[-1].status == BREAKS:
            break
    results = [written(runner) if result.law == "untouched" and runner.wrote else result for result in results]
    progress("named cases", len(LAWS) / (len(LAWS) + 2))
    told = [] if effort.first else list(_answered(runner, effort))
    progress("agreement", (len(LAWS) + 1) / (len(LAWS) + 2))
    figures = [] if effort.first else [agreement(Runner(asked, d), utterances()) for d in runner.implementation.dtypes]
    seen = [result.finding for result in results if result.finding is not None and not result.finding.timed_out]
    perhaps = f"perhaps {seen[0].cause}" if seen and seen[0].cause else ""
    return Report(
        runner.implementation.name,
        versions,
        results,
        told,
        [figure for figure in figures if figure is not None],
        (known_bugs.likely(runner) or perhaps) if seen else "",
        "",
        time.monotonic() - started,
        runner.calls,
    )


def written(runner: Runner) -> Result:
    """The law about untouched arguments is tried by every call."""
    problem, names = runner.wrote[0]
    expected, found = "arguments that are as they were", f"the call changed {', '.join(names)}"
    lines = script(runner.implementation, runner.dtype, problem, None, expected, found, names[0], bool(runner.gradient))
    why = "the caller may need its arrays again, and a framework its logits for the backward pass"
    return Result(
        "untouched", BREAKS, runner.calls, Finding(expected, found, why, lines, "", known_bugs.USUAL["untouched"])
    )


def judge_law(law: Law, runner: Runner, effort: Effort) -> Result:
    """One law on its fixed problems, then on drawn ones; what breaks is made small."""
    result = _judge_law(law, runner, effort)
    if law.name in UNSAFE and result.status == BREAKS:
        runner.asked.renew()
    return result


def _judge_law(law: Law, runner: Runner, effort: Effort) -> Result:
    reason = not_promised(law, runner)
    if reason:
        return Result(law.name, NOT_PROMISED, reason=reason)
    looked, worst, case = 0, None, ""
    for name, given, dtype in fixed(law, runner, effort):
        one = runner.given(dtype, law.sizes)
        looked += 1
        worst = broken_by(law, one, one.fit(given))
        if worst is not None:
            case, runner = name, one
            break
    reason = not_promised(law, runner)  # whether there is a gradient is known by now
    if reason:
        return Result(law.name, NOT_PROMISED, reason=reason)
    if law.search and (worst is None or (effort.small and not case and not worst.died)):
        share = effort.seconds / len(LAWS) if worst is None else max(1.0, effort.seconds / 8)
        drawn, count = look(
            lambda problem: _drawn(law, runner, problem) is not None,
            effort.examples if worst is None else 4 * effort.examples,
            share,
            effort.seed,
            runner.implementation.few_shapes,
        )
        looked += count
        worst = (drawn is not None and _drawn(law, runner, drawn)) or worst
    if not looked:
        return Result(law.name, NOT_TRIED, reason="takes longer than a quick look")
    if worst is None:
        return Result(law.name, HOLDS, looked)
    both = bool(runner.gradient)
    lines = script(
        runner.implementation, runner.dtype, worst.problem, worst.beside, worst.expected, worst.found, worst.shows, both
    )
    if worst.beside is not None and not law.name.startswith("refuses"):
        lines += f"\n# exactly:  loss {', '.join(map(number, truth(runner, worst.problem)[0]))}"
    cause = "" if worst.timed_out else known_bugs.USUAL[law.name]
    if law.name == "refuses-labels" and not worst.timed_out:
        cause = known_bugs.of_label(runner) or cause
    finding = Finding(worst.expected, worst.found, worst.why, lines, case, cause, worst.timed_out)
    return Result(law.name, BREAKS, looked, finding)


def broken_by(law: Law, runner: Runner, problem: Problem) -> Violation | None:
    """The law's own look; no answer at all is a violation as well."""
    if not_promised(law, runner):
        return None
    try:
        return law.check(runner, problem)
    except Unanswered as none:
        why = SLOW if none.timed_out else law.says.removesuffix(".")
        return Violation(none.problem, none.expected, none.found, why, died=none.died, timed_out=none.timed_out)


def _drawn(law: Law, runner: Runner, problem: Problem) -> Violation | None:
    made = law.prepare(runner.fit(problem))
    return None if made is None else broken_by(law, runner, runner.fit(made))


def fixed(law: Law, runner: Runner, effort: Effort) -> Iterator[tuple[str, Problem, str]]:
    """Ordinary problems made into this law's, and its named cases: name, problem, type of the scores."""
    if law.name not in {"sizes", "long"}:
        for dtype in runner.implementation.dtypes[:1] if law.name in WIDEST else runner.implementation.dtypes:
            few = runner.implementation.few_shapes
            for given in ordinary(few)[:1] if few and dtype != runner.dtype else ordinary(few):
                made = law.prepare(runner.fit(given))
                if made is not None:
                    yield "", made, dtype
    if law.sizes:
        yield from _sizes(runner.implementation, effort)
    for case in CASES:
        if case.law == law.name and (effort.full or not case.full) and _promised(case, runner.implementation):
            yield case.name, case.problem(), case.dtype


def _sizes(implementation: Implementation, effort: Effort) -> Iterator[tuple[str, Problem, str]]:
    """Around powers of two, in the widest type and in float32."""
    powers = [
        power for power in effort.powers if not implementation.few_shapes or (effort.full and power in AROUND_FEW)
    ]
    for dtype in [implementation.dtypes[0], *(dtype for dtype in implementation.dtypes[1:] if dtype == "float32")]:
        for words, given in around(powers):
            yield words, given, dtype


def _promised(case: Case, implementation: Implementation) -> bool:
    """Whether the case keeps its meaning in what the implementation can be told."""
    given = case.problem()
    time = given.logits.shape[1]
    frames = implementation.lengths == "both" or bool((given.logit_lengths == time).all())
    labels = implementation.lengths != "none" or len(set(given.target_lengths.tolist())) <= 1
    blank = implementation.blank == "any" or case.name != "blank is the last class"
    return frames and labels and blank and (not case.dtype or case.dtype in implementation.dtypes)


def not_promised(law: Law, runner: Runner) -> str:
    """Why nobody promised this law; "" if it was promised."""
    implementation = runner.implementation
    if law.name in implementation.not_promised:
        return implementation.not_promised[law.name]
    reasons = {
        "gradient": "it returns no gradient" if runner.gradient is False else "",
        "lengths": "it takes no lengths" if implementation.lengths == "none" else "",
        "upstream": "" if runner.upstream else "it has no argument `upstream`",
        "logits": "it takes log-probabilities" if implementation.scores != "logits" else "",
        "log_probs": "it takes scores before softmax" if implementation.scores != "log_probs" else "",
    }
    return next((reasons[need] for need in sorted(law.needs) if reasons[need]), "")


def _answered(runner: Runner, effort: Effort) -> Iterator[Answered]:
    """What the definition and the implementation say to each named case."""
    laws = {law.name: law for law in LAWS}
    for case in sorted(CASES, key=lambda case: case.law in UNSAFE):
        law = laws[case.law]
        if (case.full and not effort.full) or not _promised(case, runner.implementation) or not_promised(law, runner):
            continue
        one = runner.given(case.dtype)
        given = one.fit(case.problem())
        answered = (_precision if law.name == "long" else _values)(case, one, given)
        if law.name in UNSAFE and not answered.right:
            runner.asked.renew()
        yield answered


def _values(case: Case, runner: Runner, given: Problem) -> Answered:
    """The definition's losses beside the implementation's."""

    def told(exact: str, found: str, right: bool) -> Answered:
        return Answered(case.name, case.thread, exact, found, right)

    try:
        loss, _ = truth(runner, given)
    except errors.SeqLossError:
        loss = None
    exact = "an error" if loss is None else ", ".join(map(number, loss)) or "no rows"
    answer = runner.raw(given)
    if answer.died or answer.raised:
        found = answer.died.partition(":")[0] if answer.died else "an error"
        return told(exact, found, loss is None and not answer.died)
    losses = np.ravel(np.asarray(answer.loss, np.float64))
    found = ", ".join(map(number, losses)) or "no rows"
    well = slice(None) if loss is None else ~np.isnan(loss)
    if answer.gradient is not None and np.isnan(np.asarray(answer.gradient, np.float64)[well]).any():
        return told(exact, found + "; NaN gradient", False)
    if loss is None or losses.shape != loss.shape:
        return told(exact, found, False)
    apart = parts(losses, loss, runner.loss_tolerance(given)) & ~beyond_masks(given, losses)
    apart &= ~(np.isnan(losses) & np.isnan(loss))
    if apart.any():
        pairs = [unlike(a, b) if bad else (number(a), number(b)) for a, b, bad in zip(loss, losses, apart, strict=True)]
        found = ", ".join(words for _, words in pairs)
    return told(exact, found, not apart.any() and not (losses < 0).any())


def _precision(case: Case, runner: Runner, given: Problem) -> Answered:
    """The worst error of the gradient."""
    try:
        answer = runner.look(given)
    except Unanswered as none:
        return Answered(case.name, case.thread, "gradient exact", none.found.partition(":")[0], False)
    if answer.gradient is None:
        return Answered(case.name, case.thread, "gradient exact", "no gradient", True)
    worst = float(np.abs(answer.gradient - truth(runner, given)[1]).max())
    return Answered(case.name, case.thread, "gradient exact", f"gradient off by {worst:.1g}", worst <= PRECISE)
