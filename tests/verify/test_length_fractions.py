"""Lengths that were converted to fractions and back break `lengths`, whatever the type and the rounding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from seqloss.numpy import ctc_loss_and_grad
from seqloss.verify import Effort, Implementation
from seqloss.verify.law_check import check_law
from seqloss.verify.laws import LAWS
from seqloss.verify.length_fractions import AXES, CONVERSIONS, LONG_AXES, Conversion, affected_lengths, telling_lengths
from seqloss.verify.processes import InProcess
from seqloss.verify.report import LawResult
from seqloss.verify.runner import Runner

LAW = next(law for law in LAWS if law.name == "lengths")
ROUNDED = [each for each in CONVERSIONS if not each.rounding]
CHANGED = [each for each in CONVERSIONS if each.rounding]


def ours(logits: Any, targets: Any, frames: Any, labels: Any, blank: int) -> Any:
    return ctc_loss_and_grad(logits, targets, frames, labels, blank=blank)


def with_fractions(conversion: Conversion, which: str) -> Callable:
    def function(logits: Any, targets: Any, frames: Any, labels: Any, blank: int) -> Any:
        if which == "frames":
            frames = conversion.convert(frames, logits.shape[1])
        else:
            labels = conversion.convert(labels, targets.shape[1])
        return ours(logits, targets, frames, labels, blank)

    return function


def result_of(function: Callable, powers: tuple[int, ...] = (), few_shapes: bool = False) -> LawResult:
    implementation = Implementation("f", function, dtypes=("float64",), few_shapes=few_shapes)
    return check_law(LAW, Runner(InProcess(implementation)), Effort(powers=powers))


@pytest.mark.parametrize("few_shapes", [False, True])
@pytest.mark.parametrize("which", ["frames", "labels"])
@pytest.mark.parametrize("conversion", CHANGED, ids=str)
def test_truncated_and_rounded_up_lengths_break_the_law(conversion: Conversion, which: str, few_shapes: bool) -> None:
    assert result_of(with_fractions(conversion, which), few_shapes=few_shapes).outcome == "wrong"


@pytest.mark.parametrize("which", ["frames", "labels"])
def test_rounding_in_bfloat16_breaks_the_law_on_long_axes(which: str) -> None:
    conversion = next(each for each in ROUNDED if each.dtype == "bfloat16" and not each.wide)
    assert result_of(with_fractions(conversion, which)).outcome == "holds"
    assert result_of(with_fractions(conversion, which), powers=(256,)).outcome == "wrong"


def test_rounding_in_float32_and_float64_is_right() -> None:
    for dtype in ("float32", "float64"):
        assert not affected_lengths(Conversion("", dtype), 4000)
    assert result_of(with_fractions(Conversion("", "float32"), "frames"), powers=(256,)).outcome == "holds"


def test_one_shape_is_enough_for_implementations_that_compile() -> None:
    shapes = set()

    def compiled(logits: Any, targets: Any, *given: Any) -> Any:
        shapes.add((logits.shape, targets.shape))
        return ours(logits, targets, *given)

    assert result_of(compiled, powers=(256,), few_shapes=True).outcome == "holds"
    assert len(shapes) == 1


@pytest.mark.parametrize("axis", [22, 23, *AXES, *LONG_AXES.values()])
def test_each_conversion_that_changes_a_length_changes_a_telling_one(axis: int) -> None:
    chosen = set(telling_lengths(axis))
    assert len(chosen) < 9
    for conversion in CONVERSIONS:
        changed = set(affected_lengths(conversion, axis))
        assert not changed or changed & chosen, conversion


@pytest.mark.parametrize(("axis", "length"), [(22, 13), (23, 7), (41, 1)])
def test_float32_fractions_are_those_of_numpy(axis: int, length: int) -> None:
    assert length in affected_lengths(Conversion("truncated", "float32"), axis)
    assert str(length - 1) in str(Conversion("truncated", "float32").convert([length], axis))


def test_a_violation_shows_one_row_whose_lines_run(capsys: pytest.CaptureFixture[str]) -> None:
    function = with_fractions(CONVERSIONS[0], "frames")
    finding = result_of(function, few_shapes=True).finding
    assert finding is not None
    assert "27 of 98 frames" in finding.reason
    assert "problem_of_lengths(98).select_rows([1])" in finding.script
    exec(finding.script, {"function": function})
    assert capsys.readouterr().out.startswith(f"[{finding.found.removeprefix('loss ')[:5]}")
