"""What an implementation does not promise is never held against it, and what it promises always is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from seqloss.numpy import ctc_loss_and_grad
from seqloss.verify import Effort, Implementation, verify
from seqloss.verify.laws import LAWS
from tests.verify.mutants import plain
from tests.verify.mutants.planted import MUTANTS, load

EFFORT = Effort(examples=2, seconds=1.0, powers=())


def float32_inside(logits: Any, *rest: Any) -> Any:
    mutant = next(mutant for mutant in MUTANTS if mutant.name == "float32-inside")
    return load(mutant)(logits, *rest)


def blank_first(logits: Any, targets: Any, frames: Any, labels: Any, blank: int) -> Any:
    assert blank == 0
    return plain.ctc(logits, targets, frames, labels, 0)


def blank_last(logits: Any, targets: Any, frames: Any, labels: Any, blank: int) -> Any:
    return plain.ctc(logits, targets, frames, labels, logits.shape[2] - 1)


def all_frames(logits: Any, targets: Any, frames: Any, labels: Any, blank: int) -> Any:
    return plain.ctc(logits, targets, np.full(len(logits), logits.shape[1]), labels, blank)


def no_lengths(logits: Any, targets: Any, frames: Any, labels: Any, blank: int) -> Any:
    batch, time, _ = logits.shape
    return plain.ctc(logits, targets, np.full(batch, time), np.full(batch, targets.shape[1]), blank)


def on_log_probs(logits: Any, targets: Any, frames: Any, labels: Any, blank: int) -> Any:
    return ctc_loss_and_grad(logits, targets, frames, labels, blank=blank, normalize=False)


def loss_alone(logits: Any, targets: Any, frames: Any, labels: Any, blank: int) -> Any:
    return plain.ctc(logits, targets, frames, labels, blank)[0]


UNPROMISED = [
    (float32_inside, {"dtypes": ("float32",)}),
    (blank_first, {"blank": "first"}),
    (blank_last, {"blank": "last"}),
    (all_frames, {"lengths": "labels"}),
    (no_lengths, {"lengths": "none"}),
    (on_log_probs, {"scores": "log_probs"}),
    (loss_alone, {}),
    (plain.ctc, {"few_shapes": True}),
]


LATER = {blank_last, all_frames, loss_alone}
"""The like of others, or tested elsewhere too."""


@pytest.mark.parametrize(
    ("function", "promises"),
    [pytest.param(*case, marks=[pytest.mark.long] if case[0] in LATER else []) for case in UNPROMISED],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_one_that_keeps_what_it_promises_is_right(function: Any, promises: dict[str, Any]) -> None:
    report = verify(Implementation("f", function, **promises), effort=EFFORT, in_subprocess=False)
    assert report.strictly_ok, str(report)


@pytest.mark.parametrize(
    ("function", "promises"), [case for case in UNPROMISED[:6] if case[1]], ids=lambda x: getattr(x, "__name__", "")
)
def test_the_same_is_blamed_where_it_promised_more(function: Any, promises: dict[str, Any]) -> None:
    report = verify(
        Implementation("f", function),
        effort=Effort(examples=4, stop_at_first=True, minimize=False, powers=()),
        in_subprocess=False,
    )
    assert not report.ok


def ours(logits: Any, targets: Any, frames: Any, labels: Any, blank: int) -> Any:
    return ctc_loss_and_grad(logits, targets, frames, labels, blank=blank)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_one_that_takes_half_types_alone_is_right(dtype: str) -> None:
    effort = Effort(examples=4, seconds=8.0, powers=(16,))
    report = verify(Implementation("ours", ours, dtypes=(dtype,)), effort=effort, in_subprocess=False)
    assert report.strictly_ok, str(report)


def test_half_types_alone_do_not_hide_a_wrong_gradient() -> None:
    def doubled(*given: Any) -> Any:
        loss, gradient = ours(*given)
        return loss, 2 * gradient

    laws = {"answers", "finite-differences"}
    left_out = {law.name: "left out" for law in LAWS if law.name not in laws}
    implementation = Implementation("f", doubled, dtypes=("bfloat16",), unsupported=left_out)
    report = verify(implementation, effort=EFFORT, in_subprocess=False)
    assert "finite-differences" in [result.law for result in report.wrong]


def test_a_page_shows_texts_as_texts() -> None:
    from seqloss.verify.html_report import render_html
    from seqloss.verify.report import Finding, LawResult, Report

    evil = "<script>alert(1)</script>"
    finding = Finding(evil, evil, evil, evil, evil, evil)
    page = render_html([Report(evil, {evil: evil}, [LawResult("answers", "violated", 1, finding)], cause=evil)])
    assert evil not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
