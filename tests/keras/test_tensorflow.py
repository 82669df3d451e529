"""TensorFlow's ways to a loss agree: at once, in a graph that calls the CPU kernel, and compiled by XLA."""

from __future__ import annotations

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


def graph(jit: bool, **options: Any) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    @tf.function(jit_compile=jit, autograph=False)  # which would wrap errors in its own
    def run(x: tf.Tensor, *args: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = ctc_loss(x, *args, **options)
        return loss, tape.gradient(loss, x, output_gradients=tf.cast(UPSTREAM[: x.shape[0]], loss.dtype))

    def call(x: np.ndarray, *args: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        loss, gradient = run(tf.constant(x), *map(tf.constant, args))
        return loss.numpy(), gradient.numpy()

    return call


@pytest.mark.parametrize("kind", ["float32", "float64"])
@pytest.mark.parametrize("normalize", [True, False])
def test_graphs_give_the_definition_s_loss_and_gradient(jit: bool, normalize: bool, kind: str) -> None:
    x = X if normalize else X - np.log(np.exp(X).sum(axis=2, keepdims=True)) - 1e-6
    x = x.astype(kind)
    loss, gradient = graph(jit, normalize=normalize, blank=0)(x, Y, FRAMES, COUNTS)
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


def test_compiled_rows_that_break_the_contract_are_nan_and_touch_no_other() -> None:
    x = np.repeat(X[:1, :12, :5], 6, axis=0).astype(np.float32)
    y = np.array([[1, 2, 3], [1, 9, 3], [1, 0, 3], [1, 2, 3], [1, 1, 1], [1, 2, -1]])
    frames, counts = np.array([12, 12, 12, 13, 4, 12]), np.array([3, 3, 3, 3, 3, 2])
    x[0, 3, 2], x[5, 3, 2] = np.nan, 1.0
    for infeasible, answer in (("inf", np.inf), ("zero", 0.0), ("raise", np.nan)):
        run = tf.function(lambda *args, policy=infeasible: ctc_loss(*args, infeasible=policy), jit_compile=True)
        loss = run(*map(tf.constant, (x, y, frames, counts))).numpy()
        assert np.isnan(loss[:4]).all()
        np.testing.assert_equal(loss[4], answer)
        assert np.isfinite(loss[5])


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_compiled_log_probabilities_of_a_half_type_are_not_nan_for_its_rounding(kind: str) -> None:
    x = tf.nn.log_softmax(tf.zeros((2, 6, 1000), kind))
    assert np.exp(tf.cast(x, tf.float64).numpy()).sum(axis=2).max() > 1.001
    run = tf.function(lambda x: ctc_loss(x, [[1], [2]], normalize=False), jit_compile=True)
    assert np.isfinite(run(x).numpy()).all()


def test_compiled_scores_that_are_no_log_probabilities_are_nan_unless_nobody_should_look() -> None:
    x = np.log(np.full((2, 6, 4), 0.25, np.float32))
    x[1, 2] = 0.5
    for validate, answer in ((True, [False, True]), (False, [False, False])):
        run = tf.function(
            lambda x, look=validate: ctc_loss(x, [[1], [2]], normalize=False, validate=look), jit_compile=True
        )
        assert np.isnan(run(tf.constant(x)).numpy()).tolist() == answer


def test_a_label_past_32_bits_is_no_class_once_narrowed() -> None:
    y = np.array([[2**32 + 1], [1]])
    run = tf.function(ctc_loss, jit_compile=True)
    loss = run(tf.constant(X[:2]), tf.constant(y)).numpy()
    assert np.isnan(loss).tolist() == [True, False]


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


def test_scores_of_a_running_graph_that_are_no_log_probabilities_are_told() -> None:
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
    @tf.function(jit_compile=jit)
    def run(x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = ctc_loss(x, Y[:2], FRAMES[:2], COUNTS[:2])
        return tape.gradient(loss, x, output_gradients=tf.constant([1.0, np.inf], x.dtype))

    gradient = run(tf.constant(X[:2])).numpy()
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
