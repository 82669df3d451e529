"""Bad input: the contract's words where there are values to look at, and no silent guess about lengths."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

import seqloss
from seqloss.errors import DTypeError, LabelError, LengthError, NormalizationError, OptionError, ShapeError
from seqloss.keras import CTC, ctc_batch_cost, ctc_check, ctc_greedy, ctc_loss, ctc_posteriors, pack

X = np.random.default_rng(3).normal(size=(2, 6, 4)).astype(np.float32)
Y = np.array([[1, 2, 3], [3, 2, 1]])
PADDED = np.array([[1, 2, -1], [3, -1, -1]])
PROBABILITIES = np.exp(X) / np.exp(X).sum(axis=2, keepdims=True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"target_lengths": "pad"}, "target_lengths: found 'pad', expected one of 'padding', 'end', 'packed'"),
        ({"logit_lengths": "first"}, "logit_lengths: found 'first', expected one of 'all', 'end', 'packed', 'pred"),
        ({"infeasible": "nan"}, "infeasible: found 'nan'"),
        ({"logit_lengths": "end"}, "end: expected the number of the end-of-sequence class, found None"),
        ({"end": -1}, "end: expected the number of the end-of-sequence class, found -1"),
        ({"end": 0}, "end: found 0, the blank"),
        ({"end": 2, "target_lengths": "padding", "logit_lengths": "all"}, "end: given, but neither"),
        ({"blank": -1}, "padding: not given, and with blank=-1 class 0 is a label: give .* such as padding=-1"),
        ({"blank": 3, "end": 2}, "padding: not given, and with blank=3 class 0 is a label"),
        ({"padding": "0"}, "padding: expected a number that pads the targets, or None, found '0'"),
        ({"padding": True}, "padding: expected a number .*, found True"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        CTC(**options)


@pytest.mark.parametrize(
    ("error", "y_true", "y_pred", "options", "words"),
    [
        (LabelError, Y + 1, X, {}, r"^y_true\[0, 2\]: found label 4, expected 0 to 3 without the blank 0"),
        (LabelError, Y, X, {"blank": -1, "padding": -1}, r"^y_true\[0, 2\]: found label 3, .* the blank is never part"),
        (
            LabelError,
            np.array([[1, 0, 2]] * 2),
            X,
            {},
            r"^y_true\[0, 1\]: found label 0, .*: move it to the end of its row \(found padding=0\) if this is "
            r"padding; if it is a label, give the blank a class of its own with CTC\(blank=\.\.\., padding=",
        ),
        (LabelError, np.array([[-1, 1, 2]] * 2), X, {"padding": -1}, r"^y_true\[0, 0\]: found label -1, .*wildcard"),
        (
            LabelError,
            pack(np.array([[1, 0, -1]] * 2)),
            X,
            {"target_lengths": "packed", "blank": 3},
            r"^y_true\[0, 3\]: found label -1, .*: give the number of labels without padding in column 0 of y_true\.",
        ),
        (LabelError, pack(Y), X, {"target_lengths": "packed", "blank": 3}, r"with CTC\(blank=\.\.\.\), or shift"),
        (
            LengthError,
            Y + 4,
            X,
            {"target_lengths": "packed"},
            r"^y_true\[0, 0\] \(the number of labels\): found 5, expected 0 to 2",
        ),
        (
            LengthError,
            Y + 4,
            X,
            {"logit_lengths": "packed"},
            r"^y_true\[1, 0\] \(the number of frames\): found 7, expected 0 to 6",
        ),
        (DTypeError, Y + 2.0**32, X, {}, r"^y_true\[0, 0\]: expected an integer of 32 bits, found 4294967297"),
        (DTypeError, Y + np.nan, X, {"padding": -1}, r"^y_true\[0, 0\]: expected an integer, found nan"),
        (DTypeError, Y + np.inf, X, {"padding": -1}, r"^y_true\[0, 0\]: expected an integer, found inf"),
        (
            NormalizationError,
            Y,
            PROBABILITIES,
            {"normalize": False},
            "^y_pred: row 0 holds prob.*; take their logarithm",
        ),
        (ShapeError, Y[0], X, {}, r"y_true: expected shape \(batch, labels\), found \(3,\)"),
        (ShapeError, Y, X[0], {}, r"y_pred: expected shape \(batch, time, classes\), found \(6, 4\)"),
        (
            ShapeError,
            Y[:1],
            X,
            {},
            "^y_true: expected 2 rows, one for each row of y_pred, found 1; y_pred are batch first",
        ),
        (ShapeError, Y[:, :1], X, {"target_lengths": "packed", "logit_lengths": "packed"}, "seqloss.keras.pack"),
        (ShapeError, Y, X[:, :0], {"logit_lengths": "predicted"}, "The first step holds the length"),
        (DTypeError, Y > 1, X, {}, "y_true: expected integers, .* found bool"),
        (DTypeError, Y.astype(np.float16), X, {}, "y_true: expected integers, .* found float16"),
        (DTypeError, np.add(Y, [0, 0.25, 0]), X, {}, r"y_true\[0, 1\]: expected an integer, found 2.25"),
        (LabelError, pack(Y + 1), X, {"target_lengths": "packed"}, r"^y_true\[0, 3\]: found label 4"),
        (
            LengthError,
            pack(Y, [3, 4]),
            X,
            {"target_lengths": "packed"},
            r"^y_true\[1, 0\] .*: found 4, expected 0 to 3",
        ),
        (NormalizationError, Y, X, {"normalize": False, "logit_lengths": "predicted"}, r"^y_pred\[0, 1\]: with normal"),
        (OptionError, Y, X, {"logit_lengths": "mask"}, 'y_pred carries no Keras mask.*logit_lengths="packed"'),
    ],
)
def test_the_loss_refuses_in_the_contract_s_words(
    error: type[Exception], y_true: Any, y_pred: Any, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(error, match=words):
        CTC(**options)(y_true, y_pred)


@pytest.mark.parametrize("options", [{"padding": -1}, {"padding": None}, {"target_lengths": "packed"}])
def test_with_another_blank_labels_of_0_at_the_end_of_a_row_count(options: dict[str, Any]) -> None:
    targets, counts = np.array([[1, 0], [1, 1]]), np.array([2, 2])
    y_true = pack(targets, counts) if options.get("target_lengths") else targets
    found = CTC(blank=-1, reduction=None, **options)(y_true, X)
    expected = ctc_loss(X, targets, blank=-1)
    np.testing.assert_array_equal(ops.convert_to_numpy(found), ops.convert_to_numpy(expected))


def test_a_padding_that_is_a_class_is_taken_where_it_is_given() -> None:
    found = CTC(blank=-1, padding=0, reduction=None)(np.array([[1, 0], [1, 1]]), X)
    expected = ctc_loss(X, np.array([[1, 0], [1, 1]]), target_lengths=[1, 2], blank=-1)
    np.testing.assert_array_equal(ops.convert_to_numpy(found), ops.convert_to_numpy(expected))


@pytest.mark.parametrize("options", [{}, {"end": 2}, {"logit_lengths": "predicted"}])
def test_a_batch_without_rows_has_no_loss(options: dict[str, Any]) -> None:
    loss = CTC(reduction=None, **options)(np.zeros((0, 2), np.int64), X[:0])
    assert tuple(loss.shape) == (0,)


def test_lengths_of_a_call_keep_their_names_in_errors() -> None:
    with pytest.raises(LengthError, match=r"^logit_lengths\[1\]: found 7, expected 0 to 6"):
        CTC(logit_lengths="packed")(pack(Y), X, logit_lengths=[6, 7])
    with pytest.raises(LengthError, match=r"^target_lengths\[0\]: found 4, expected 0 to 3"):
        CTC()(Y, X, target_lengths=[4, 3])


def test_weights_that_are_not_one_for_each_row_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"sample_weight: expected shape \(batch,\), found \(2, 2\)"):
        CTC()(Y, X, np.ones((2, 2)))


def test_numbers_past_the_labels_need_not_be_integers() -> None:
    y_true = np.array([[1, 1, 0.5, np.inf], [1, 3, np.nan, -1e30]], np.float32)
    found = CTC(target_lengths="packed", reduction=None)(y_true, X)
    expected = ctc_loss(X, np.array([[1], [3]]))
    np.testing.assert_array_equal(ops.convert_to_numpy(found), ops.convert_to_numpy(expected))


def test_a_mask_without_the_option_is_not_ignored() -> None:
    model = keras.Sequential([keras.Input((6, 4)), keras.layers.Masking(), keras.layers.Dense(4)])
    model.compile(loss=CTC(), jit_compile=False)
    with pytest.raises(OptionError, match='"all", but y_pred carries a Keras mask: set logit_lengths="mask"'):
        model.evaluate(X, Y, verbose=0)


def test_a_mask_of_another_length_is_named() -> None:
    from keras.src.backend import set_keras_mask

    y_pred = ops.convert_to_tensor(X)
    set_keras_mask(y_pred, ops.ones((2, 12), dtype="bool"))
    with pytest.raises(ShapeError, match=r"its Keras mask has shape \(2, 12\).* changes the number of frames"):
        CTC(logit_lengths="mask")(Y, y_pred)


def test_bad_labels_in_fit_raise_the_same_message(backend: str) -> None:
    model = keras.Sequential([keras.Input((6, 4)), keras.layers.Dense(4)])
    model.compile(loss=CTC(), optimizer="sgd", jit_compile=False)
    errors: dict[str, Any] = {"torch": LabelError, "jax": Exception, "tensorflow": Exception}
    with pytest.raises(errors[backend], match=r"y_true\[0, 2\]: found label 4, expected 0 to 3 without the blank 0"):
        model.fit(X, Y + 1, shuffle=False, verbose=0)


CASES: dict[str, tuple[Any, dict[str, Any], str]] = {
    "padding": (
        PADDED,
        {},
        r"y_true\[0, 2\]: found label -1, .* padding .*: give its number, CTC\(padding=-1\) in place of padding=0\.",
    ),
    "unknown": (
        np.array([[1, -1, 2], [3, 1, 2]]),
        {},
        r"y_true\[0, 1\]: found label -1, .* wildcard\) is not supported",
    ),
    "blank": (
        np.array([[1, 0, 2], [3, 1, 2]]),
        {},
        r"y_true\[0, 1\]: found label 0, .*CTC\(blank=\.\.\., padding=\.\.\.\)",
    ),
    "frames": (
        pack(Y, [3, 2], [6, 9]),
        {"target_lengths": "packed", "logit_lengths": "packed"},
        r"y_true\[1, 1\] \(the number of frames\): found 9, expected 0 to 6",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_errors_in_fit_speak_of_y_true_and_y_pred(backend: str, jit: bool, name: str) -> None:
    """On JAX a compiled program raises them when it runs, after the call of the loss; XLA on TensorFlow gives NaN."""
    y_true, options, words = CASES[name]
    model = keras.Sequential([keras.Input((6, 4)), keras.layers.Dense(4)])
    model.compile(loss=CTC(**options), optimizer="sgd", jit_compile=jit)
    if backend == "tensorflow" and jit:
        assert np.isnan(model.fit(X, y_true, shuffle=False, verbose=0).history["loss"]).all()
        return
    with pytest.raises(Exception, match=words) as caught:
        model.fit(X, y_true, shuffle=False, verbose=0)
    message = next(line for line in str(caught.value).splitlines() if ": found " in line)
    assert not re.search(r"\b(targets|logits|target_lengths|logit_lengths)\b", message), message


def test_padding_of_minus_1_has_the_loss_of_the_true_lengths() -> None:
    with pytest.raises(LabelError, match=r"^y_true\[0, 2\]: .*CTC\(padding=-1\) in place of padding=0\.$"):
        CTC()(PADDED, X)
    found = CTC(padding=-1, reduction=None)(PADDED, X)
    expected = ctc_loss(X, np.abs(PADDED), None, [2, 1])
    np.testing.assert_array_equal(ops.convert_to_numpy(found), ops.convert_to_numpy(expected))


def test_a_moved_blank_with_its_padding_has_the_loss_of_the_true_lengths() -> None:
    y_true = np.array([[1, 0, 2], [0, -1, -1]])
    found = CTC(blank=3, padding=-1, reduction=None)(y_true, X)
    expected = ctc_loss(X, np.abs(y_true), None, [3, 1], blank=3)
    np.testing.assert_array_equal(ops.convert_to_numpy(found), ops.convert_to_numpy(expected))


def test_the_logarithm_of_probabilities_has_the_loss_of_their_scores() -> None:
    found = CTC(normalize=False)(Y, np.log(PROBABILITIES))
    assert float(found) == pytest.approx(float(CTC()(Y, X)), rel=1e-5)


def test_a_symbolic_y_pred_keeps_its_name() -> None:
    for loss in (lambda x: CTC()(Y, x), lambda x: ctc_batch_cost(Y - 1, x, np.array([[6], [6]]), np.array([[3], [3]]))):
        with pytest.raises(DTypeError, match=r"^y_pred: .* found a KerasTensor"):
            loss(keras.Input((6, 4)))


def test_fractions_of_the_frames_are_named_with_their_conversion() -> None:
    words = r"^logit_lengths\[1\]: .* found 0\.5, a fraction of the time axis; .* round\(0\.5 \* 6\) = 3\."
    with pytest.raises(DTypeError, match=words):
        CTC()(Y, X, logit_lengths=np.array([1.0, 0.5], np.float32))


def test_concatenated_targets_are_refused_with_a_hint_to_pad() -> None:
    with pytest.raises(ShapeError, match=r"targets: expected shape \(batch, labels\), found \(6,\).* pad each row"):
        ctc_loss(X, Y.reshape(-1), None, [3, 3])


def test_symbolic_tensors_are_refused_with_a_hint() -> None:
    with pytest.raises(DTypeError, match="KerasTensor"):
        ctc_loss(keras.Input((6, 4)), Y)


def test_the_loss_may_stand_in_a_layer_of_a_functional_model(jit: bool) -> None:
    class Endpoint(keras.layers.Layer):
        def call(self, y_pred: Any, y_true: Any) -> Any:
            self.add_loss(ctc_loss(y_pred, y_true, reduction="batch"))
            return y_pred

    scores, labels = keras.Input((6, 4)), keras.Input((3,), dtype="int32")
    model = keras.Model([scores, labels], Endpoint()(keras.layers.Dense(4)(scores), labels))
    model.compile(optimizer="sgd", jit_compile=jit)
    first, *_, last = model.fit([X, Y], epochs=5, verbose=0).history["loss"]
    assert 0 < last < first


def test_nothing_is_written_to_the_caller_s_arrays() -> None:
    x, y, packed = X.copy(), Y.copy(), np.array([[2, 5, 1, 2], [1, 6, 3, 0]])
    frames, counts, columns = np.array([6, 5]), np.array([3, 1]), np.array([[6], [5]])
    probabilities = PROBABILITIES.copy()
    arrays = (x, y, packed, frames, counts, columns, probabilities)
    before = [array.copy() for array in arrays]
    for array in arrays:
        array.flags.writeable = False
    ctc_loss(x, y, frames, counts, infeasible="zero")
    ctc_check(x, y, frames, counts)
    ctc_posteriors(x, y, frames, counts)
    ctc_greedy(x, frames)
    ctc_batch_cost(y - 1, probabilities, columns, columns * 0 + 3)
    CTC(target_lengths="packed", logit_lengths="packed")(packed, x)
    CTC(logit_lengths="predicted")(y, x)
    CTC(end=3)(y, x)
    for array, kept in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, kept)


def test_a_check_outside_of_fit_names_the_rows() -> None:
    report = ctc_check(ops.convert_to_tensor(X), ops.convert_to_tensor(np.add(Y, [[1], [0]])))
    assert report.counts == {"label": 1}
    assert "targets[0, 2]: found label 4" in str(report)


def test_posteriors_are_tensors_of_the_backend() -> None:
    found = ctc_posteriors(ops.convert_to_tensor(X), ops.convert_to_tensor(Y))
    assert ops.is_tensor(found)
    np.testing.assert_allclose(ops.convert_to_numpy(found).sum(axis=2), 1, rtol=1e-6)


def test_a_second_derivative_is_never_silently_missing(backend: str) -> None:
    if backend == "tensorflow":
        import tensorflow as tf

        x = tf.constant(X)
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                loss = ctc_loss(x, Y, reduction="sum")
            penalty = tf.reduce_sum(inner.gradient(loss, x) ** 2)
        with pytest.raises(RuntimeError, match="no second derivative on TensorFlow"):
            outer.gradient(penalty, x)
    elif backend == "torch":
        import torch

        tensor = torch.tensor(X, requires_grad=True)
        (gradient,) = torch.autograd.grad(ctc_loss(tensor, Y, reduction="sum"), tensor, create_graph=True)
        try:
            gradient.square().sum().backward()
        except RuntimeError as error:
            assert "second derivative" in str(error)  # noqa: PT017
        else:
            assert tensor.grad is not None
            assert (tensor.grad != 0).any()
    else:
        import jax

        squares = jax.grad(lambda x: (jax.grad(lambda x: ctc_loss(x, Y, reduction="sum"))(x) ** 2).sum())
        assert (np.asarray(squares(X)) != 0).any()


def test_a_missing_keras_raises_with_the_extra_to_install() -> None:
    words = r"seqloss.keras needs Keras.*pip install 'seqloss\[keras\]'"
    code = "import sys; sys.modules['keras'] = None\ntry: import seqloss.keras\nexcept ImportError as e: print(e)"
    paths = os.pathsep.join([str(Path(seqloss.__file__).parents[1]), *sys.path])
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": paths}, capture_output=True)
    assert re.search(words, done.stdout.decode()), done.stderr.decode()


Gradient = Callable[[Callable[[Any], Any], np.ndarray], tuple[np.ndarray, np.ndarray]]


def test_an_infeasible_row_has_no_gradient_whatever_comes_from_upstream(value_and_grad: Gradient) -> None:
    crowded = np.ones((2, 6), int)
    _, gradient = value_and_grad(lambda x: ctc_loss(x, crowded) * float("inf"), X)
    assert (gradient == 0).all()
