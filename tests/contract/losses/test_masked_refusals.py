"""Losses of the real steps of a padded batch: what every frontend refuses, in the same words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from seqloss import errors

from .frontends import LossFrontend, params

X, Y, NUMBERS = np.zeros((2, 3, 4)), np.array([[1, 2, 3], [0, -1, -1]]), np.zeros((2, 3, 4))


@pytest.fixture(params=params(("float32",)))
def steps(request: pytest.FixtureRequest) -> LossFrontend:
    return request.param


CROSS_ENTROPY: list[tuple[tuple[Any, ...], dict[str, Any], type[Exception], str]] = [
    (
        (Y,),
        {},
        errors.LabelError,
        r"targets\[1, 1\]: found label -1, expected 0 to 3; .* padding=-1, lengths or a mask",
    ),
    ((Y,), {"padding": -100}, errors.LabelError, r"targets\[1, 1\]: found label -1.*padding=-100 is another number"),
    ((Y + 1, [3, 1]), {}, errors.LabelError, r"targets\[0, 2\]: found label 4, expected 0 to 3; .* count from 1"),
    ((Y * 9, [3, 1]), {}, errors.LabelError, r"targets\[0, 0\]: found label 9.*the vocabulary is larger"),
    ((Y, [3, 4]), {}, errors.LengthError, r"lengths\[1\]: found 4, expected 0 to 3 .*count the steps"),
    ((Y, [-1, 1]), {}, errors.LengthError, r"lengths\[0\]: found -1, expected 0 to 3"),
    (
        (Y, [0.5, 1.0]),
        {},
        errors.DTypeError,
        r"lengths\[0\]: expected integers, found 0.5, a fraction of the time axis",
    ),
    ((Y, [1]), {}, errors.ShapeError, r"lengths: expected shape \(batch,\) = \(2,\), that of logits, found \(1,\)"),
    ((Y,), {"mask": np.ones((2, 2), bool)}, errors.ShapeError, r"mask: expected shape \(batch, time\) = \(2, 3\)"),
    (
        (Y,),
        {"mask": np.zeros((2, 3))},
        errors.DTypeError,
        r"mask: expected booleans, or integers that are 0 in padding, found .*; give mask == 0 of an additive mask",
    ),
    ((Y, np.ones((2, 3), bool)), {}, errors.DTypeError, "lengths: expected integers, found .*; give a mask as mask="),
    ((np.zeros((2, 3, 4)),), {}, errors.DTypeError, "targets: .*; take the argmax over the last axis of one-hot"),
    ((Y[:, :2],), {}, errors.ShapeError, r"targets: expected shape \(batch, time\) = \(2, 3\), that of logits"),
    (([[1, 2, 3], [0]],), {}, errors.ShapeError, "targets: found rows of uneven length; pad them .* give lengths"),
    ((Y.astype(float),), {}, errors.DTypeError, "targets: expected integers, one label for each step, found float64"),
    ((Y,), {"padding": 0.5}, errors.OptionError, "padding: expected the label of padding, an integer"),
    ((Y,), {"label_smoothing": 1.5}, errors.OptionError, "label_smoothing: expected a number from 0 to 1, found 1.5"),
    ((Y,), {"reduction": "average"}, errors.OptionError, "reduction: found 'average', expected one of 'none', 'sum'"),
    ((Y,), {"denominator": 3.0}, errors.OptionError, 'denominator: goes with reduction="sum" only'),
]


@pytest.mark.parametrize("args, options, error, words", CROSS_ENTROPY, ids=lambda value: None)  # noqa: PT006
def test_cross_entropy_refuses(
    steps: LossFrontend, args: tuple[Any, ...], options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        steps.value("masked_cross_entropy", [X], *args, **options)


def test_scores_of_a_wrong_form_are_named(steps: LossFrontend) -> None:
    with pytest.raises(errors.ShapeError, match=r"logits: expected shape \(batch, time, classes\), found \(2, 3\)"):
        steps.value("masked_cross_entropy", [X[..., 0]], Y, padding=-1)
    with pytest.raises(errors.ShapeError, match="At least one class"):
        steps.value("masked_cross_entropy", [X[..., :0]], Y, padding=-1)
    with pytest.raises(errors.ShapeError, match=r"predictions: expected shape \(batch, time\) or"):
        steps.value("masked_squared_error", [X[0, 0]], X[0, 0])
    with pytest.raises(errors.ShapeError, match=r"per_step: expected shape \(batch, time\), found \(2, 3, 4\)"):
        steps.value("time_weighted", [X])


@pytest.mark.parametrize("name", ["masked_squared_error", "masked_absolute_error"])
def test_errors_broadcast_nothing(steps: LossFrontend, name: str) -> None:
    with pytest.raises(
        errors.ShapeError, match=r"targets: expected shape \(2, 3, 4\), .* found \(2, 3, 1\).*x\[\.\.\., 0\]"
    ):
        steps.value(name, [X], NUMBERS[..., :1])
    with pytest.raises(errors.DTypeError, match="targets: expected numbers"):
        steps.value(name, [X], NUMBERS == 0)
    with pytest.raises(errors.OptionError, match="padding: expected a number"):
        steps.value(name, [X], NUMBERS, padding="0")
    with pytest.raises(errors.LengthError, match=r"lengths\[0\]: found 9"):
        steps.value(name, [X], NUMBERS, np.array([9, 1]))


def test_weights_that_are_none_are_refused(steps: LossFrontend) -> None:
    x = np.zeros((2, 3))
    with pytest.raises(errors.OptionError, match="weight: found 'cubic', expected one of 'sqrt', 'linear'"):
        steps.value("time_weighted", [x], weight="cubic")
    with pytest.raises(errors.ShapeError, match=r"weight: the callable returned shape \(2, 2\), expected \(2, 3\)"):
        steps.value("time_weighted", [x], weight=lambda step: step[:, :2])
    with pytest.raises(errors.LengthError, match=r"lengths\[1\]: found 4"):
        steps.value("time_weighted", [x], np.array([1, 4]))
