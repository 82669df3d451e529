"""TensorFlow's ways to a loss agree: at once, in a graph that calls the CPU kernel, and compiled by XLA."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import seqloss.numpy as host
from seqloss.keras import CTC, ctc_loss

if os.environ["KERAS_BACKEND"] != "tensorflow":
    pytest.skip("of the TensorFlow backend alone", allow_module_level=True)

import tensorflow as tf

RNG = np.random.default_rng(5)
X = 3 * RNG.normal(size=(4, 30, 9))
Y = RNG.integers(1, 9, (4, 8))
FRAMES, COUNTS = np.array([30, 24, 17, 30]), np.array([8, 5, 0, 1])
UPSTREAM = np.array([1.0, -2.0, 0.5, 3.0])


@functools.cache
def graph(jit: bool, **options: Any) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """One program for the options and for each form of the arguments, which XLA takes seconds to compile."""

    @tf.function(jit_compile=jit, autograph=False)  # which would wrap errors in its own
    def run(x: tf.Tensor, upstream: tf.Tensor, *args: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = ctc_loss(x, *args, **options)
        return loss, tape.gradient(loss, x, output_gradients=upstream)

    def call(x: np.ndarray, *args: np.ndarray, upstream: np.ndarray = UPSTREAM) -> tuple[np.ndarray, np.ndarray]:
        loss, gradient = run(tf.constant(x), tf.constant(upstream, x.dtype), *map(tf.constant, args))
        return loss.numpy(), gradient.numpy()

    return call


@pytest.mark.parametrize("kind", ["float32", "float64"])
@pytest.mark.parametrize("normalize", [True, False])
def test_graphs_give_the_definition_s_loss_and_gradient(jit: bool, normalize: bool, kind: str) -> None:
    x = X if normalize else X - np.log(np.exp(X).sum(axis=2, keepdims=True)) - 1e-6
    x = x.astype(kind)
    loss, gradient = graph(jit, normalize=normalize)(x, Y, FRAMES, COUNTS)
    expected, expected_gradient = host.ctc_loss_and_grad(x, Y, FRAMES, COUNTS, normalize=normalize, upstream=UPSTREAM)
    if not jit:
        np.testing.assert_array_equal(loss, expected)
        np.testing.assert_array_equal(gradient, expected_gradient)
    unit = np.finfo(kind).eps
    np.testing.assert_allclose(loss, expected, rtol=8 * unit)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=2000 * unit, atol=200 * unit)
    assert (gradient[2, 17:] == 0).all()


def test_a_graph_of_one_s_own_may_call_the_loss_object(jit: bool) -> None:
    x, y = tf.constant(X, tf.float32), tf.constant(Y)
    run = tf.function(CTC(), jit_compile=jit)
    np.testing.assert_allclose(run(y, x), CTC()(y, x), rtol=1e-6)


@pytest.mark.parametrize(
    ("infeasible", "answer"),
    [
        ("inf", np.inf),
        pytest.param("zero", 0.0, marks=pytest.mark.long),
        pytest.param("raise", np.nan, marks=pytest.mark.long),
    ],
)
def test_compiled_rows_that_break_the_contract_are_nan_and_touch_no_other(infeasible: str, answer: float) -> None:
    run = graph(True) if infeasible == "inf" else graph(True, infeasible=infeasible)
    x, y = X.copy(), Y.copy()
    x[0, 3, 2], y[2, 1] = np.nan, 9
    x[1, 24:], y[1, 5:] = np.nan, -1  # out of use
    loss, gradient = run(x, y, np.array([30, 24, 30, 31]), np.array([8, 5, 3, 1]))
    assert np.isnan(loss).tolist() == [True, False, True, True]
    assert np.isfinite(gradient[1]).all()
    y[0, 1], y[3] = 0, 1
    loss, gradient = run(X, y, np.array([30, 24, 17, 4]), np.array([8, 5, 0, 3]))
    np.testing.assert_equal(loss[[0, 3]], [np.nan, answer])
    assert np.isfinite(loss[1:3]).all()


@pytest.mark.parametrize("kind", [pytest.param("float16", marks=pytest.mark.long), "bfloat16"])
def test_compiled_log_probabilities_of_a_half_type_are_not_nan_for_its_rounding(kind: str) -> None:
    x = tf.nn.log_softmax(tf.zeros((2, 6, 1000), kind))
    assert np.exp(tf.cast(x, tf.float64).numpy()).sum(axis=2).max() > 1.001
    run = tf.function(lambda x: ctc_loss(x, [[1], [2]], normalize=False), jit_compile=True)
    assert np.isfinite(run(x).numpy()).all()


@pytest.mark.parametrize("validate", [True, pytest.param(False, marks=pytest.mark.long)])
def test_compiled_scores_that_are_no_log_probabilities_are_nan_with_validate(validate: bool) -> None:
    x = np.log(np.full((4, 30, 9), 1 / 9, np.float32))
    x[1, 2] = 0.5
    options = {} if validate else {"validate": False}
    loss, _ = graph(True, normalize=False, **options)(x, Y, FRAMES, COUNTS)
    assert np.isnan(loss).tolist() == [False, validate, False, False]


def test_a_label_past_32_bits_is_no_class_once_narrowed() -> None:
    y = Y.copy()
    y[0, 0] += 2**32
    loss, _ = graph(True)(X, y, FRAMES, COUNTS)
    assert np.isnan(loss).tolist() == [True, False, False, False]


@pytest.mark.long
def test_an_inner_function_of_a_compiled_one_is_compiled_too() -> None:
    inner = tf.function(ctc_loss)
    run = tf.function(lambda x, y: inner(x, y), jit_compile=True)
    found = run(tf.constant(X), tf.constant(Y)).numpy()
    np.testing.assert_allclose(found, host.ctc_loss(X, Y), rtol=1e-12)


def test_sizes_need_not_be_known_when_a_graph_is_traced(jit: bool) -> None:
    signature = [
        tf.TensorSpec((None, None, 9), tf.float64), tf.TensorSpec((None, None), tf.int64),
        tf.TensorSpec((None,), tf.int32), tf.TensorSpec((None,), tf.int32),
    ]  # fmt: skip
    run = tf.function(lambda *args: ctc_loss(*args, reduction="labels"), signature, jit_compile=jit)
    for rows in (slice(0, 4), slice(1, 3)):
        args = X[rows], Y[rows], FRAMES[rows].astype(np.int32), COUNTS[rows].astype(np.int32)
        np.testing.assert_allclose(run(*args).numpy(), host.ctc_loss(*args, reduction="labels"), rtol=1e-12)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((Y + 1, FRAMES, COUNTS), "found label 9, expected 0 to 8 without the blank 0; labels seem to count from 1"),
        ((Y, FRAMES + 1, COUNTS), r"logit_lengths\[0\]: found 31, expected 0 to 30"),
        ((Y, FRAMES, COUNTS - 1), r"target_lengths\[2\]: found -1, expected 0 to 8"),
    ],
)
def test_errors_of_a_running_graph_carry_the_contract_s_text(args: tuple[np.ndarray, ...], words: str) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match=words):
        graph(False)(X, *args)


def test_scores_of_a_running_graph_that_are_no_log_probabilities_raise() -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"logits\[0, 0\]: with normalize=False .* add up to"):
        graph(False, normalize=False)(X, Y, FRAMES, COUNTS)


def test_forms_are_refused_while_a_graph_is_traced(jit: bool) -> None:
    from seqloss.errors import DTypeError, LabelError, ShapeError

    with pytest.raises(ShapeError, match="logit_lengths: expected 4 rows"):
        graph(jit)(X, Y, FRAMES[:3], COUNTS)
    with pytest.raises(DTypeError, match="targets: expected integers, found float64"):
        graph(jit)(X, Y / 1, FRAMES, COUNTS)
    with pytest.raises(LabelError, match="blank: found 9, expected -9 to 8"):
        graph(jit, blank=9)(X, Y, FRAMES, COUNTS)


def test_an_infinite_upstream_leaves_frames_out_of_use_at_0(jit: bool) -> None:
    _, gradient = graph(jit)(X, Y, FRAMES, COUNTS, upstream=np.array([1.0, np.inf, 1.0, 1.0]))
    assert (gradient[1, 24:] == 0).all()
    assert np.isinf(gradient[1, :24]).any()


def test_a_graph_refuses_a_second_derivative(jit: bool) -> None:
    @tf.function(jit_compile=jit)
    def run(x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                loss = ctc_loss(x, Y, reduction="sum")
            penalty = tf.reduce_sum(inner.gradient(loss, x) ** 2)
        return outer.gradient(penalty, x)

    with pytest.raises(RuntimeError, match="no second derivative on TensorFlow"):
        run(tf.constant(X))
