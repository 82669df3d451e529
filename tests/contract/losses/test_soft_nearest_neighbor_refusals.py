"""Wrong arguments of the soft nearest neighbour loss are refused, with the same words in every frontend."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from seqloss import errors

from .frontends import LossFrontend

POINTS = np.random.default_rng(0).normal(size=(4, 2))
LABELS = np.array([0, 0, 1, 1])

POSITIVE = "temperature: expected a positive number"
WRONG: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "three axes": (
        {"points": POINTS[None]},
        errors.ShapeError,
        r"points: expected shape \(points, dimensions\), found \(1, 4, 2\)\. Take points\.reshape",
    ),
    "one axis": ({"points": POINTS[0]}, errors.ShapeError, r"points: expected shape \(points, dimensions\)"),
    "no dimensions": ({"points": POINTS[:, :0]}, errors.ShapeError, "nothing to compare in an empty axis"),
    "one-hot labels": (
        {"labels": np.eye(4, dtype=int)},
        errors.ShapeError,
        r"labels: expected shape \(batch,\), found \(4, 4\)\. Take labels\.argmax",
    ),
    "too few labels": (
        {"labels": LABELS[:3]},
        errors.ShapeError,
        "labels: expected 4, one for each row of points, found 3",
    ),
    "float labels": (
        {"labels": LABELS.astype(np.float32)},
        errors.DTypeError,
        "labels: expected integers, one for each row of points, found .*float32",
    ),
    "labels of uneven length": (
        {"labels": [[0], [0, 1], [1], [1]]},
        errors.ShapeError,
        "labels: found rows of uneven length",
    ),
    "unknown metric": (
        {"metric": "manhattan"},
        errors.OptionError,
        "metric: found 'manhattan', expected one of 'euclidean', 'cosine'",
    ),
    "unknown reduction": (
        {"reduction": "labels"},
        errors.OptionError,
        "reduction: found 'labels', expected one of 'none', 'sum', 'mean'",
    ),
    "temperature 0": (
        {"temperature": 0},
        errors.OptionError,
        f"{POSITIVE}, found 0; where it is learnt, learn its log",
    ),
    "negative temperature": ({"temperature": -1.0}, errors.OptionError, POSITIVE),
    "temperature nan": ({"temperature": float("nan")}, errors.OptionError, POSITIVE),
    "temperature inf": ({"temperature": float("inf")}, errors.OptionError, POSITIVE),
    "temperature with an axis": (
        {"temperature": np.ones(1)},
        errors.ShapeError,
        r"temperature: expected shape \(\), a scalar, found \(1,\). Take temperature\[0\]",
    ),
    "temperature in words": ({"temperature": "1"}, errors.OptionError, POSITIVE),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_argument_is_named_with_what_to_do(float32_points_frontend: LossFrontend, wrong: str) -> None:
    change, error, words = WRONG[wrong]
    given = {"points": POINTS, "labels": LABELS, **change}
    with pytest.raises(error, match=words):
        float32_points_frontend.value("soft_nearest_neighbor", [given.pop("points")], given.pop("labels"), **given)


def test_a_temperature_may_be_an_array_without_axes(points_frontend: LossFrontend) -> None:
    found = points_frontend.value("soft_nearest_neighbor", [POINTS], LABELS, temperature=np.array(0.5))
    expected = points_frontend.value("soft_nearest_neighbor", [POINTS], LABELS, temperature=0.5)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("call", ["loss", "loss_and_grad", "refused"])
@pytest.mark.parametrize("writable", [True, False], ids=["writable", "read-only"])
@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
def test_the_callers_arrays_keep_their_bytes(points_frontend: LossFrontend, call: str, writable: bool) -> None:
    points, labels = points_frontend.stored(POINTS).copy(), LABELS.copy()
    for array in (points, labels):
        array.flags.writeable = writable
    before = points.tobytes(), labels.tobytes()
    if call == "refused":
        with pytest.raises(errors.ShapeError):
            points_frontend.value("soft_nearest_neighbor", [points], labels[:3])
    elif call == "loss":
        points_frontend.value("soft_nearest_neighbor", [points], labels, metric="cosine", reduction="none")
    else:
        points_frontend.value_and_grads("soft_nearest_neighbor", [points], labels, learnt={"temperature": 1.0})
    assert (points.tobytes(), labels.tobytes()) == before


def test_lists_and_strides_are_taken(precise_points_frontend: LossFrontend) -> None:
    wide = precise_points_frontend.stored(np.random.default_rng(1).normal(size=(3, 8)))
    turned, expected = wide.T[::2], precise_points_frontend.value("soft_nearest_neighbor", [wide.T[::2].copy()], LABELS)
    np.testing.assert_array_equal(
        precise_points_frontend.value("soft_nearest_neighbor", [turned], LABELS.tolist()), expected
    )
