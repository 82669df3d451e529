"""What breaks the contract is an error that says where, what was found, what was expected and the likely cause."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from seqloss import errors

from .frontend import Frontend

LOGITS = np.zeros((2, 6, 4))
TARGETS = np.array([[1, 2, 3], [3, 2, 1]])


def refused(
    frontend: Frontend,
    error: type[Exception],
    *parts: str,
    logits: Any = LOGITS,
    args: Any = (TARGETS,),
    **options: Any,
):  # type: ignore[no-untyped-def]
    """Call, expect the error, and expect all parts in its message."""
    with pytest.raises(error) as caught:
        frontend.loss(logits, *args, **options)
    for part in parts:
        assert part in str(caught.value), str(caught.value)


@pytest.mark.parametrize(
    ("label", "cause"),
    [
        (4, "labels seem to count from 1"),
        (7, "the vocabulary is larger than the network's last layer"),
        (-1, "this looks like padding inside the target's length"),
        (-3, "give the true target_lengths"),
        (0, "the blank is never part of a target"),
        (2**32 + 1, "the vocabulary is larger"),
        (-(2**32) + 1, "this looks like padding"),
    ],
)
def test_a_label_that_is_no_class_is_named_with_its_cause(frontend: Frontend, label: int, cause: str) -> None:
    targets = TARGETS.copy()
    targets[1, 2] = label
    parts = (f"targets[1, 2]: found label {label},", "expected 0 to 3 without the blank 0", cause)
    refused(frontend, errors.LabelError, *parts, args=(targets,))


def test_a_label_past_int64_is_named_by_its_true_value(frontend: Frontend) -> None:
    targets = np.array([[1], [2**63 + 2]], np.uint64)
    refused(frontend, errors.LabelError, f"targets[1, 0]: found label {2**63 + 2},", args=(targets,))


def test_a_concatenated_bad_label_is_named_by_row_and_position(concatenating_frontend: Frontend) -> None:
    args = (np.array([1, 2, 8]), None, np.array([2, 1]))
    refused(concatenating_frontend, errors.LabelError, "targets[1, 0]: found label 8", args=args)


@pytest.mark.parametrize("blank", [-1, 3])
def test_the_blank_is_refused_at_any_position_of_a_target(frontend: Frontend, blank: int) -> None:
    refused(frontend, errors.LabelError, "targets[0, 2]: found label 3", "the blank 3", blank=blank)


@pytest.mark.parametrize("blank", [4, -5, 2**40])
def test_a_blank_outside_the_classes_is_refused(frontend: Frontend, blank: int) -> None:
    refused(frontend, errors.LabelError, f"blank: found {blank}, expected -4 to 3 for 4 classes", blank=blank)


@pytest.mark.parametrize(
    ("name", "length", "limit", "cause"),
    [
        ("logit_lengths", 7, "expected 0 to 6 (the size of the time axis)", "after the network's subsampling"),
        ("logit_lengths", -1, "expected 0 to 6", "padding value or an overflow"),
        ("target_lengths", 4, "expected 0 to 3 (the size of the labels axis)", "labels of the row without padding"),
        ("target_lengths", -2, "expected 0 to 3", "padding value or an overflow"),
    ],
)
def test_a_length_off_its_axis_is_named_with_its_cause(
    frontend: Frontend, name: str, length: int, limit: str, cause: str
) -> None:
    parts = (f"{name}[1]: found {length},", limit, cause)
    refused(frontend, errors.LengthError, *parts, **{name: np.array([1, length])})


def test_lengths_of_concatenated_targets_must_add_up(concatenating_frontend: Frontend) -> None:
    args = (np.array([1, 2, 3]), None, np.array([1, 1]))
    refused(concatenating_frontend, errors.LengthError, "target_lengths: they add up to 2, expected 3", args=args)


def test_where_shapes_are_static_concatenated_targets_are_told_to_be_padded(padding_frontend: Frontend) -> None:
    parts = ("targets: expected shape (batch, labels), found (3,)", "pad each row to one length", "target_lengths")
    refused(padding_frontend, errors.ShapeError, *parts, args=(np.array([1, 2, 3]), None, np.array([2, 1])))


@pytest.mark.parametrize(
    ("logits", "args", "parts"),
    [
        (np.zeros((6, 4)), (TARGETS,), ("logits: expected shape (batch, time, classes), found (6, 4)", "logits[None]")),
        (LOGITS, (TARGETS[0],), ("targets: expected shape (batch, labels), found (3,)", "target_lengths")),
        (LOGITS, (TARGETS[None],), ("targets: expected shape (batch, labels)", "found (1, 2, 3)")),
        (LOGITS, (TARGETS[:1],), ("targets: expected 2 rows", "found 1", "batch first")),
        (LOGITS, (TARGETS, np.array([6])), ("logit_lengths: expected 2 rows", "found 1")),
        (LOGITS, (TARGETS, None, np.array([[1, 1]])), ("target_lengths: expected shape (batch,), found (1, 2)",)),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) and isinstance(value[0], str) else "",
)
def test_an_argument_of_the_wrong_shape_is_named(
    frontend: Frontend, logits: Any, args: Any, parts: tuple[str, ...]
) -> None:
    refused(frontend, errors.ShapeError, *parts, logits=logits, args=args)
    refused(frontend, errors.ShapeError, *parts, logits=logits, args=args, validate=False)


@pytest.mark.parametrize(
    ("args", "name", "found"),
    [
        ((TARGETS.astype(np.float32),), "targets", "float32"),
        ((TARGETS > 1,), "targets", "bool"),
        ((TARGETS, None, np.array([True, True])), "target_lengths", "bool"),
    ],
)
def test_an_argument_that_holds_no_integers_is_named(frontend: Frontend, args: Any, name: str, found: str) -> None:
    parts = (f"{name}: expected integers, found {found}", "convert it")
    refused(frontend, errors.DTypeError, *parts, args=args)
    refused(frontend, errors.DTypeError, *parts, args=args, validate=False)


def test_lengths_that_are_floats_are_named(frontend: Frontend) -> None:
    for lengths in ((np.array([6.0, 6.0]), None), (None, np.array([3.0, 3.0]))):
        parts = ("lengths: expected integers, found float64", "cast whole numbers to integers")
        refused(frontend, errors.DTypeError, *parts, args=(TARGETS, *lengths))
        refused(frontend, errors.DTypeError, *parts, args=(TARGETS, *lengths), validate=False)


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"infeasible": "ignore"}, ("infeasible: found 'ignore'", "'inf', 'zero', 'raise'")),
        ({"reduction": "avg"}, ("reduction: found 'avg'", "'none', 'sum', 'mean', 'batch', 'labels'")),
        ({"denominator": 3.0}, ("denominator", 'reduction="sum" only', "'none'")),
        ({"denominator": 3.0, "reduction": "mean"}, ('reduction="sum" only', "'mean'")),
        ({"denominator": 0.0, "reduction": "sum"}, ("denominator: expected a positive number, found 0.0.",)),
        (
            {"denominator": np.array(3.0), "reduction": "sum"},
            ("denominator: expected a positive number, found", "to divide by an array or a tensor, divide the loss"),
        ),
    ],
    ids=str,
)
def test_an_option_that_does_not_exist_is_answered_with_those_that_do(
    frontend: Frontend, options: dict[str, Any], parts: tuple[str, ...]
) -> None:
    refused(frontend, errors.OptionError, *parts, **options)


def test_scores_that_are_no_log_probabilities_are_refused_with_their_sum(frontend: Frontend) -> None:
    logits = np.full((2, 6, 4), np.log(0.25) - 0.01)
    logits[1, 2] = 0.5
    parts = ("logits[1, 2]", "normalize=False", "add up to 6.5948", "at most 1.001", "log_softmax once")
    for words in parts:
        frontend.refuses_scores(
            lambda: frontend.loss(logits, TARGETS, normalize=False), errors.NormalizationError, re.escape(words)
        )
    assert np.isfinite(frontend.loss(logits, TARGETS, normalize=False, validate=False)).all()
    assert np.isfinite(frontend.loss(logits, TARGETS, np.array([6, 2]), [3, 1], normalize=False)).all()


def test_every_error_is_a_value_error() -> None:
    names = ("ShapeError", "DTypeError", "LengthError", "LabelError", "NormalizationError", "InfeasibleError")
    assert all(issubclass(getattr(errors, name), ValueError) for name in names)
