"""The fixed problems on which a law is checked: standard problems, named cases, sizes around powers of two."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from seqloss.verify.cases import CASES, problem_of_lengths, problems_around_powers
from seqloss.verify.effort import Effort
from seqloss.verify.implementation import Implementation
from seqloss.verify.laws import Law
from seqloss.verify.laws.support import supports_case
from seqloss.verify.length_fractions import AXES, LONG_AXES
from seqloss.verify.problem import Problem
from seqloss.verify.runner import Runner
from seqloss.verify.standard_problems import standard_problems

WIDEST_TYPE_ONLY = {
    "repeatable", "digits", "time-reversal", "relabelling", "certain-path", "sums-to-1", "cut", "finite-differences",
    "long",
}  # fmt: skip
"""Laws that are checked only in the widest type, which has the smallest tolerances. The others: in every type."""

POWERS_IF_COMPILED = (32, 256)
"""Powers of two for implementations that compile for each shape; only with `Effort.full`."""


def fixed_problems(law: Law, runner: Runner, effort: Effort) -> Iterator[tuple[str, Problem, str]]:
    """Name of the case or "", problem, and type of the logits ("" for that of the runner)."""
    implementation = runner.implementation
    if law.name not in {"sizes", "lengths", "long"}:
        few = implementation.few_shapes
        for dtype in implementation.dtypes[:1] if law.name in WIDEST_TYPE_ONLY else implementation.dtypes:
            for given in standard_problems(few)[:1] if few and dtype != runner.dtype else standard_problems(few):
                prepared = law.prepare(runner.adapt(given))
                if prepared is not None:
                    yield "", prepared, dtype
    if law.name == "sizes":
        yield from _problems_of_all_sizes(implementation, effort)
    if law.name == "lengths":
        for axis in length_axes(implementation, effort):
            yield f"lengths of {axis} frames and labels", problem_of_lengths(axis), ""
    for case in CASES:
        if case.law == law.name and (effort.full or not case.full) and supports_case(implementation, case):
            yield case.name, case.problem(), case.dtype


def length_axes(implementation: Implementation, effort: Effort) -> Sequence[int]:
    """Sizes of time and label axis for the law `lengths`."""
    if implementation.few_shapes and not effort.full:
        return AXES[-1:]
    largest = 2 * max(effort.powers, default=0)
    return [*AXES, *(axis for needed, axis in LONG_AXES.items() if needed <= largest)]


def _problems_of_all_sizes(implementation: Implementation, effort: Effort) -> Iterator[tuple[str, Problem, str]]:
    """Sizes around powers of two, in the widest type and in float32."""
    compiled = implementation.few_shapes
    powers = [n for n in effort.powers if not compiled or (effort.full and n in POWERS_IF_COMPILED)]
    for dtype in [implementation.dtypes[0], *(dtype for dtype in implementation.dtypes[1:] if dtype == "float32")]:
        for name, given in problems_around_powers(powers):
            yield name, given, dtype
