"""Mistakes that hide: each was once missed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from seqloss.verify import Effort, Implementation, verify
from seqloss.verify.laws import LAWS
from tests.verify.mutants import plain


def nan_becomes_0(*given: Any) -> Any:
    loss, gradient = plain.ctc(*given)
    return np.nan_to_num(loss, nan=0.0, posinf=np.inf), gradient


def one_impossible_row_makes_all_so(*given: Any) -> Any:
    loss, gradient = plain.ctc(*given)
    return (np.full_like(loss, np.inf), 0 * gradient) if np.isinf(loss).any() else (loss, gradient)


def upstream_without_its_sign(*given: Any, upstream: Any = None) -> Any:
    return plain.ctc(*given, upstream=None if upstream is None else np.abs(upstream))


def upstream_0_is_1(*given: Any, upstream: Any = None) -> Any:
    return plain.ctc(*given, upstream=None if upstream is None else np.where(upstream == 0, 1.0, upstream))


def masks_in_place(logits: Any, *given: Any) -> Any:
    logits[np.isneginf(logits)] = -1e30
    return plain.ctc(logits, *given)


def padding_in_place(logits: Any, targets: Any, frames: Any, labels: Any, blank: int) -> Any:
    answer = plain.ctc(logits, targets, frames, labels, blank)
    targets[targets < 0] = 0
    return answer


def plus_inf_is_large(logits: Any, *given: Any) -> Any:
    return plain.ctc(np.where(np.isposinf(logits), 80.0, logits), *given)


def float32_rows_share(*given: Any) -> Any:
    loss, gradient = plain.ctc(*given)
    return (loss / len(loss), gradient / len(loss)) if len(loss) and loss.dtype == np.float32 else (loss, gradient)


def beyond_32_frames_gradient_is_0(*given: Any) -> Any:
    loss, gradient = plain.ctc(*given)
    gradient[:, 32:] = 0.0
    return loss, gradient


NEEDED = {"answers", "masked", "closed-scores", "impossible", "nan-in-padding"}
"""Laws that ask what some of these hide behind."""

HIDDEN = [
    (float32_rows_share, "batch-mates"),
    (beyond_32_frames_gradient_is_0, "sizes"),
    (nan_becomes_0, "nan-in-a-row"),
    (one_impossible_row_makes_all_so, "impossible"),
    (upstream_without_its_sign, "upstream"),
    (upstream_0_is_1, "upstream"),
    (masks_in_place, "untouched"),
    (padding_in_place, "untouched"),
    (plus_inf_is_large, "nan-in-a-row"),
]


@pytest.mark.parametrize(("function", "law"), HIDDEN, ids=lambda x: getattr(x, "__name__", ""))
def test_a_hidden_mistake_is_found(function: Any, law: str) -> None:
    effort = Effort(examples=3, seconds=1.0, powers=(32,) if law == "sizes" else ())
    left_out = {each.name: "left out" for each in LAWS if each.name not in NEEDED | {law}}
    report = verify(Implementation("f", function, unsupported=left_out), effort=effort, in_subprocess=False)
    assert law in [result.law for result in report.violated], str(report)
