"""Results of the named cases: the exact losses beside those of an implementation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from seqloss import errors
from seqloss.verify.cases import CASES, Case
from seqloss.verify.effort import Effort
from seqloss.verify.laws import LAWS, UNSAFE
from seqloss.verify.laws.definition import PRECISE, beyond_masks, reference_loss_and_grad
from seqloss.verify.laws.law import exceeds_tolerance, format_distinct, format_number
from seqloss.verify.laws.support import reason_unsupported, supports_case
from seqloss.verify.problem import Problem
from seqloss.verify.report import CaseResult
from seqloss.verify.runner import CallFailed, Runner


def evaluate_cases(runner: Runner, effort: Effort) -> Iterator[CaseResult]:
    """The result of each named case that the implementation supports."""
    laws = {law.name: law for law in LAWS}
    for case in sorted(CASES, key=lambda case: case.law in UNSAFE):
        law = laws[case.law]
        supported = supports_case(runner.implementation, case) and not reason_unsupported(law, runner)
        if (case.full and not effort.full) or not supported:
            continue
        typed = runner.with_dtype(case.dtype)
        evaluate = _evaluate_gradient if law.name == "long" else _evaluate_losses
        result = evaluate(case, typed, typed.adapt(case.problem()))
        if law.name in UNSAFE and not result.right:
            runner.executor.restart()
        yield result


def _evaluate_losses(case: Case, runner: Runner, given: Problem) -> CaseResult:
    def make_result(exact: str, found: str, right: bool) -> CaseResult:
        return CaseResult(case.name, case.thread, exact, found, right)

    try:
        loss, _ = reference_loss_and_grad(runner, given)
    except errors.SeqLossError:
        loss = None
    exact = "an error" if loss is None else ", ".join(map(format_number, loss)) or "no rows"
    result = runner.call(given)
    if result.failure or result.raised:
        found = result.failure.partition(":")[0] if result.failure else "an error"
        return make_result(exact, found, loss is None and not result.failure)
    losses = np.ravel(np.asarray(result.loss, np.float64))
    found = ", ".join(map(format_number, losses)) or "no rows"
    without_nan = slice(None) if loss is None else ~np.isnan(loss)
    if result.gradient is not None and np.isnan(np.asarray(result.gradient, np.float64)[without_nan]).any():
        return make_result(exact, found + "; NaN gradient", False)
    if loss is None or losses.shape != loss.shape:
        return make_result(exact, found, False)
    wrong = exceeds_tolerance(losses, loss, runner.loss_tolerance(given)) & ~beyond_masks(given, losses)
    wrong &= ~(np.isnan(losses) & np.isnan(loss))
    if wrong.any():
        found = ", ".join(
            format_distinct(a, b)[1] if bad else format_number(b) for a, b, bad in zip(loss, losses, wrong, strict=True)
        )
    return make_result(exact, found, not wrong.any() and not (losses < 0).any())


def _evaluate_gradient(case: Case, runner: Runner, given: Problem) -> CaseResult:
    try:
        outputs = runner.outputs(given)
    except CallFailed as failed:
        return CaseResult(case.name, case.thread, "gradient exact", failed.found.partition(":")[0], False)
    if outputs.gradient is None:
        return CaseResult(case.name, case.thread, "gradient exact", "no gradient", True)
    worst = float(np.abs(outputs.gradient - reference_loss_and_grad(runner, given)[1]).max())
    return CaseResult(case.name, case.thread, "gradient exact", f"gradient error {worst:.1g}", worst <= PRECISE)
