"""What is particular to the NumPy frontend: its examples, what it takes for an array, and `upstream`."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import seqloss.numpy
from seqloss import errors
from seqloss.kernels.ctc import batch as ctc_batch
from seqloss.numpy import ctc_check, ctc_greedy, ctc_loss, ctc_loss_and_grad, ctc_posteriors

MODULES = [
    "seqloss.numpy",
    *(module.name for module in pkgutil.walk_packages(seqloss.numpy.__path__, "seqloss.numpy.")),
]
FUNCTIONS = [ctc_loss, ctc_loss_and_grad, ctc_posteriors, ctc_check, ctc_greedy]
LOGITS = np.random.default_rng(0).normal(size=(2, 6, 4)).astype(np.float32)
TARGETS = np.array([[1, 2], [3, 3]])


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_show(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_every_public_function_has_words_and_an_example(function: Any) -> None:
    words = inspect.getdoc(function) or ""
    assert all(section in words for section in ("Args:", "Returns:", "Raises:", "Example:", ">>> "))


def test_the_frontend_shows_its_functions_and_nothing_else() -> None:
    shown = {name for name, value in vars(seqloss.numpy).items() if not inspect.ismodule(value)}
    assert {name for name in shown if name[0] not in "_@"} == set(seqloss.numpy.__all__)  # "@": pytest's own


def test_loss_and_gradient_take_what_the_loss_takes_and_upstream() -> None:
    names = list(inspect.signature(ctc_loss_and_grad).parameters)
    assert names == [*inspect.signature(ctc_loss).parameters, "upstream"]


def test_lists_of_scores_are_float64() -> None:
    loss, gradient = ctc_loss_and_grad(LOGITS.tolist(), TARGETS.tolist())
    assert (loss.dtype, gradient.dtype) == (np.float64, np.float64)
    np.testing.assert_array_equal(loss, ctc_loss(LOGITS.astype(np.float64), TARGETS))


@pytest.mark.parametrize(
    "dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64], ids=lambda kind: kind.__name__
)
def test_the_gradient_has_the_scores_own_type_and_the_loss_the_one_computed_in(dtype: type) -> None:
    loss, gradient = ctc_loss_and_grad(LOGITS.astype(dtype), TARGETS)
    assert gradient.dtype == dtype
    assert loss.dtype == (np.float64 if dtype is np.float64 else np.float32)


@pytest.mark.parametrize("dtype", [ml_dtypes.float8_e4m3, np.longdouble, ">f4", ">f8", object])
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_floats_of_other_types_and_byte_orders_are_refused(function: Any, dtype: Any) -> None:
    args = () if function is ctc_greedy else (TARGETS,)
    with pytest.raises(errors.DTypeError, match="logits: expected float16, bfloat16, float32 or float64, found "):
        function(LOGITS.astype(dtype), *args)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_logits_of_uneven_length_are_refused_with_a_hint_to_pad(function: Any) -> None:
    args = () if function is ctc_greedy else (TARGETS,)
    with pytest.raises(errors.ShapeError, match="logits: found rows of uneven length; pad them"):
        function([[[0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]], *args)


def test_integers_in_the_other_byte_order_are_read_rightly() -> None:
    swapped = TARGETS.astype(TARGETS.dtype.newbyteorder())
    np.testing.assert_array_equal(ctc_loss(LOGITS, swapped), ctc_loss(LOGITS, TARGETS))


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_a_number_as_upstream_weighs_every_row(reduction: Any) -> None:
    _, once = ctc_loss_and_grad(LOGITS, TARGETS, reduction=reduction)
    _, thrice = ctc_loss_and_grad(LOGITS, TARGETS, reduction=reduction, upstream=-3)
    np.testing.assert_allclose(thrice, -3 * once, rtol=1e-6)


@pytest.mark.parametrize(
    ("upstream", "reduction"), [([1.0], "none"), ([[1.0, 1.0]], "none"), ([1.0, 1.0], "sum"), ([1.0] * 3, "none")]
)
def test_upstream_of_another_shape_than_the_loss_is_refused(upstream: Any, reduction: Any) -> None:
    with pytest.raises(errors.ShapeError, match=r"upstream: expected a number or shape .*, the loss's, found"):
        ctc_loss_and_grad(LOGITS, TARGETS, reduction=reduction, upstream=upstream)


def test_the_loss_of_a_batch_can_be_reduced_by_hand() -> None:
    losses = ctc_loss(LOGITS, TARGETS)
    assert ctc_loss(LOGITS, TARGETS, reduction="sum") == pytest.approx(losses.sum())


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """The flat scores that the kernel was given."""
    given, rows = [], ctc_batch.compute_rows

    def spy(scores: np.ndarray, *args: Any) -> Any:
        given.append(scores)
        return rows(scores, *args)

    monkeypatch.setattr(ctc_batch, "compute_rows", spy)
    return given


def test_contiguous_scores_are_not_copied_even_when_they_may_not_be_written(seen: list[np.ndarray]) -> None:
    logits = LOGITS.copy()
    logits.flags.writeable = False
    ctc_loss_and_grad(logits, TARGETS)
    assert all(np.shares_memory(scores, logits) for scores in seen)
    assert seen


def test_a_memory_map_opened_for_reading_is_read_where_it_lies(tmp_path: Path, seen: list[np.ndarray]) -> None:
    """Writing to it would end the process."""
    np.save(tmp_path / "logits.npy", LOGITS)
    np.save(tmp_path / "targets.npy", TARGETS)
    logits, targets = (np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in ("logits", "targets"))
    loss, gradient = ctc_loss_and_grad(logits, targets)
    assert np.shares_memory(seen[0], logits)
    np.testing.assert_array_equal(loss, ctc_loss(LOGITS, TARGETS))
    assert type(gradient) is np.ndarray
    assert ctc_check(logits, targets).ok
    assert len(ctc_greedy(logits)) == 2
    assert ctc_posteriors(logits, targets).shape == LOGITS.shape
