"""Check one law: on fixed problems first, then on random ones; a violation is minimised."""

from __future__ import annotations

from seqloss.verify.diagnosis import likely_label_handling
from seqloss.verify.effort import Effort
from seqloss.verify.law_problems import fixed_problems
from seqloss.verify.laws import LAWS, UNSAFE, Law, Violation
from seqloss.verify.laws.definition import reference_loss_and_grad
from seqloss.verify.laws.law import format_number, severity_of
from seqloss.verify.laws.support import reason_unsupported
from seqloss.verify.problem import Problem
from seqloss.verify.report import HOLDS, NOT_SUPPORTED, SKIPPED, VIOLATED, Finding, LawResult
from seqloss.verify.reproduction import make_script
from seqloss.verify.runner import CallFailed, Runner
from seqloss.verify.search import find_violating_problem
from seqloss.verify.severity import WRONG, Severity
from seqloss.verify.typical_causes import TYPICAL_CAUSES, ZERO_INFINITY_CAUSE

TIMED_OUT = "its values are unknown: it hangs, or it is slow and needs a larger --limit (`Effort.limit`)"


def check_law(law: Law, runner: Runner, effort: Effort) -> LawResult:
    """Check whether an implementation satisfies a law.

    Args:
        law: the law.
        runner: calls the implementation.
        effort: number of problems and time limits.

    Returns:
        the result, with a script that reproduces a violation.
    """
    result = _check_law(law, runner, effort)
    if law.name in UNSAFE and result.status == VIOLATED:
        runner.executor.restart()
    return result


def _check_law(law: Law, runner: Runner, effort: Effort) -> LawResult:
    reason = reason_unsupported(law, runner)
    if reason:
        return LawResult(law.name, NOT_SUPPORTED, reason=reason)
    worst, case, runner, count = _check_fixed_problems(law, runner, effort)
    reason = reason_unsupported(law, runner)  # after the first call it is known whether there is a gradient
    if reason:
        return LawResult(law.name, NOT_SUPPORTED, reason=reason)
    if law.search and (worst is None or _can_minimize(law, effort, worst, case)):
        worst, drawn = _search(law, runner, effort, worst)
        count += drawn
    if not count:
        return LawResult(law.name, SKIPPED, reason="use --full")
    if worst is None:
        return LawResult(law.name, HOLDS, count)
    return LawResult(law.name, VIOLATED, count, _make_finding(law, runner, worst, case))


def _check_fixed_problems(law: Law, runner: Runner, effort: Effort) -> tuple[Violation | None, str, Runner, int]:
    """The first wrong result, else the first careless one, else None; its case and runner; the number of problems.

    After a careless violation, other problems can still show that the law finds something wrong. Invalid arguments are
    not tried again: an implementation that does not refuse them can write outside its arrays.
    """
    worst, case, used, count = None, "", runner, 0
    for name, given, dtype in fixed_problems(law, runner, effort):
        typed = runner.with_dtype(dtype, law.exact_shapes)
        count += 1
        violation = find_violation(law, typed, typed.adapt(given))
        wrong = violation is not None and severity_of(law, violation) == WRONG
        if violation is not None and (worst is None or wrong):
            worst, case, used = violation, name, typed
        if wrong or (worst is not None and law.name in UNSAFE):
            break
    return worst, case, used, count


def _can_minimize(law: Law, effort: Effort, worst: Violation, case: str) -> bool:
    return effort.minimize and not case and not worst.crashed and law.name not in UNSAFE


def find_violation(law: Law, runner: Runner, problem: Problem) -> Violation | None:
    """The violation of a law for one problem, or None. A call without a result is a violation too."""
    if reason_unsupported(law, runner):
        return None
    try:
        return law.check(runner, problem)
    except CallFailed as failed:
        reason = TIMED_OUT if failed.timed_out else law.statement.removesuffix(".")
        return Violation(
            failed.problem,
            failed.expected,
            failed.found,
            reason,
            crashed=failed.crashed,
            timed_out=failed.timed_out,
        )


def _search(law: Law, runner: Runner, effort: Effort, worst: Violation | None) -> tuple[Violation | None, int]:
    """Search for a violation, or for a smaller one than `worst` with its severity; also the number of problems."""
    severity = None if worst is None else severity_of(law, worst)

    def find_in_random_problem(problem: Problem) -> Violation | None:
        prepared = law.prepare(runner.adapt(problem))
        return None if prepared is None else find_violation(law, runner, runner.adapt(prepared))

    smallest, count = find_violating_problem(
        lambda problem: _has_severity(law, find_in_random_problem(problem), severity),
        effort.examples if worst is None else 4 * effort.examples,
        effort.seconds / len(LAWS) if worst is None else max(1.0, effort.seconds / 8),
        effort.seed,
        runner.implementation.few_shapes,
    )
    found = None if smallest is None else find_in_random_problem(smallest)
    return (found if _has_severity(law, found, severity) else worst), count


def _has_severity(law: Law, violation: Violation | None, severity: Severity | None) -> bool:
    """Whether there is a violation, of this severity unless that is None."""
    return violation is not None and severity in (None, severity_of(law, violation))


def _make_finding(law: Law, runner: Runner, worst: Violation, case: str) -> Finding:
    script = make_script(
        runner.implementation,
        runner.dtype,
        worst.problem,
        worst.compared_with,
        worst.expected,
        worst.found,
        worst.expression,
        bool(runner.gradient),
    )
    if worst.compared_with is not None and not law.name.startswith("refuses"):
        losses, _ = reference_loss_and_grad(runner, worst.problem)
        script += f"\n# reference: loss {', '.join(map(format_number, losses))}"
    cause = ""
    if not worst.timed_out:
        cause = TYPICAL_CAUSES[law.name]
        if law.name == "refuses-labels":
            cause = likely_label_handling(runner) or cause
        if law.name == "impossible" and runner.implementation.zero_infinity:
            cause = ZERO_INFINITY_CAUSE
    severity = severity_of(law, worst)
    return Finding(worst.expected, worst.found, worst.reason, script, case, cause, worst.timed_out, severity)


def modified_arguments_result(runner: Runner) -> LawResult:
    """The result of the law `untouched` if any call has modified its arguments."""
    problem, names = runner.modified[0]
    expected, found = "unmodified arguments", f"the call modified {', '.join(names)}"
    script = make_script(
        runner.implementation, runner.dtype, problem, None, expected, found, names[0], bool(runner.gradient)
    )
    reason = "the caller can need its arrays again, and a framework its logits in the backward pass"
    cause = TYPICAL_CAUSES["untouched"]
    return LawResult("untouched", VIOLATED, runner.calls, Finding(expected, found, reason, script, cause=cause))
