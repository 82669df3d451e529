"""The law about lengths: they are used exactly, on axes of any size."""

from __future__ import annotations

from seqloss.verify.laws.definition import loss_or_gradient_violation, reference_loss_and_grad
from seqloss.verify.laws.law import Law, Violation
from seqloss.verify.problem import Problem
from seqloss.verify.runner import Runner


def check_lengths(runner: Runner, problem: Problem) -> Violation | None:
    """Compares the batch with the reference; shows a violation by its row alone, if that violates the law too."""
    found = _compare(runner, problem)
    if found is None:
        return None
    rows = (_compare(runner, problem.select_rows([n])) for n in range(len(problem.logits)))
    return next((alone for alone in rows if alone is not None), found)


def _compare(runner: Runner, problem: Problem) -> Violation | None:
    why = "as many frames and labels are used as the lengths say"
    if len(problem.logits) == 1:
        _, time, _, labels = problem.shape
        frames, count = problem.logit_lengths[0], problem.target_lengths[0]
        why = f"the row has {frames} of {time} frames and {count} of {labels} labels, and all of these are used"
    return loss_or_gradient_violation(runner, problem, *reference_loss_and_grad(runner, problem), why)


LENGTHS = Law(
    "lengths",
    "Exactly logit_lengths[n] frames and target_lengths[n] labels are used, on axes of any size.",
    check_lengths,
    needs=frozenset({"lengths"}),
    search=False,
    exact_shapes=True,
)
