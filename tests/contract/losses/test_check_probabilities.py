"""`check_probabilities` of every frontend reports each bad row with its likely cause."""

from __future__ import annotations

import math

import numpy as np
import pytest

from seqloss.errors import DTypeError, OptionError, ShapeError
from seqloss.numpy import Report

from .frontends import LossFrontend, params
from .test_cosine_triplet import integers

pytestmark = pytest.mark.parametrize("frontend", params())


def check(frontend: LossFrontend, x: object, axis: int = -1) -> Report:
    return frontend.call("check_probabilities", [x], axis)


def softmax(x: np.ndarray, axis: int) -> np.ndarray:
    powers = np.exp(x)
    return powers / powers.sum(axis=axis, keepdims=True)


def test_softmax_in_any_type_passes(frontend: LossFrontend) -> None:
    x = softmax(np.random.default_rng(1).normal(size=(4, 3, 100)) * 3, 2)
    report = check(frontend, x)
    assert report.ok
    assert report.rows == 12
    assert check(frontend, np.moveaxis(x, 2, 1), 1).ok
    assert check(frontend, [[1.0], [1.0]]).ok
    assert check(frontend, [0.5, 0.5]).rows == 1
    assert check(frontend, np.zeros((0, 3))).rows == 0


@pytest.mark.parametrize(
    ("row", "kind", "words"),
    [
        ([2.0, -1.0, 0.0], "scores", "found 2; raw scores are the likely cause: apply softmax over axis 1"),
        ([0.5, 0.75, -0.25], "scores", "found -0.25; raw scores"),
        ([1.5, 0.0, 0.0], "scores", "found 1.5; raw scores"),
        (list(np.log([0.5, 0.25, 0.25])), "log-probabilities", "(their exponentials add up to 1); take exp of them"),
        ([0.0, -math.inf, -math.inf], "log-probabilities", "take exp of them"),
        ([-math.inf, 0.5, 0.5], "scores", "found -inf"),
        ([0.5, 0.25, 0.125], "normalization", "found a sum of 0.875; divide by the sum"),
        ([0.75, 0.5, 0.5], "normalization", "found a sum of 1.75"),
        ([0.0, 0.0, 0.0], "normalization", "found zeros only; leave out padding and masked rows"),
        ([math.nan, 0.5, 0.5], "non-finite", "found nan; look for a diverging network"),
        ([math.inf, 0.5, 0.5], "non-finite", "found inf"),
    ],
)
def test_a_bad_row_is_reported_with_its_cause(frontend: LossFrontend, row: list[float], kind: str, words: str) -> None:
    good = [0.5, 0.25, 0.25]
    report = check(frontend, [good, row, good, row])
    assert [finding.row for finding in report.findings] == [1, 3]
    assert {finding.kind for finding in report.findings} == {kind}
    assert report.findings[1].cause.startswith("x[3, :]: expected probabilities (from 0 to 1, adding up to 1 within")
    assert words in report.findings[1].cause
    assert str(report).startswith("2 of 4 samples invalid: 2 ")


def test_a_softmax_over_another_axis_is_recognised(frontend: LossFrontend) -> None:
    x = softmax(np.random.default_rng(2).normal(size=(2, 5, 4)), 1)
    report = check(frontend, x)
    assert report.counts == {"axis": 10}
    assert "x[1, 4, :]" in report.findings[-1].cause
    assert "the sums along axis 1 are 1" in report.findings[-1].cause
    assert "take it over axis 2" in report.findings[-1].cause
    assert check(frontend, x, 1).ok
    assert check(frontend, x, -2).ok
    x[0, 0, 0] *= 0.5
    assert check(frontend, x).counts == {"normalization": 10}, "not in the whole array"


def test_no_rows_have_no_findings(frontend: LossFrontend) -> None:
    report = check(frontend, np.ones((0, 3)))
    assert report.ok
    assert report.rows == 0


def test_mistakes_are_named(frontend: LossFrontend) -> None:
    for axis in (2, -3):
        with pytest.raises(OptionError, match=rf"axis: found {axis}, expected -2 to 1 for an array of 2 axes"):
            check(frontend, [[1.0]], axis)
    with pytest.raises(ShapeError, match=r"x: expected shape \(..., classes\), found \(\)"):
        check(frontend, 1.0)
    with pytest.raises(ShapeError, match=r"x: expected shape .*, found \(2, 0\)\. There are no classes along axis 1"):
        check(frontend, np.ones((2, 0)))
    with pytest.raises(DTypeError, match=r"x: expected float16, bfloat16, float32 or float64, found .*int32"):
        frontend.function("check_probabilities")(integers(frontend))
