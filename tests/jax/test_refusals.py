"""Where checks run: when Python runs, when the program runs on a CPU, or never on an accelerator, where NaN answers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqloss import errors
from seqloss.jax import ctc_check, ctc_greedy, ctc_loss
from seqloss.jax.ctc import kernel

LOGITS = np.random.default_rng(1).normal(size=(2, 6, 4)).astype(np.float32)
GOOD = np.array([[1, 2], [3, 1]])

BAD = {
    "label": ((np.array([[1, 2], [3, 9]]), None, None), r"targets\[1, 1\]: found label 9"),
    "blank": ((np.array([[1, 0], [3, 1]]), None, None), r"the blank is never part of a target"),
    "frames": ((GOOD, np.array([6, 7]), None), r"logit_lengths\[1\]: found 7, expected 0 to 6"),
    "labels": ((GOOD, None, np.array([-1, 2])), r"target_lengths\[0\]: found -1, expected 0 to 2"),
}


@pytest.mark.parametrize("name", BAD)
def test_traced_values_are_refused_by_the_running_program_in_the_same_words(name: str) -> None:
    args, words = BAD[name]
    targets, frames, labels = args
    frames = np.array([6, 6]) if frames is None else frames
    labels = np.array([2, 2]) if labels is None else labels
    with pytest.raises(errors.SeqLossError, match=words):
        ctc_loss(LOGITS, *args)
    with pytest.raises((ValueError, jax.errors.JaxRuntimeError), match=words):
        jax.jit(ctc_loss)(LOGITS, targets, frames, labels).block_until_ready()


@pytest.fixture(scope="module")
def elsewhere() -> Callable[..., tuple[jax.Array, jax.Array]]:
    """Losses and gradients as an accelerator computes them, compiled once."""

    def losses_and_gradients(logits: jax.Array, *args: jax.Array) -> tuple[jax.Array, jax.Array]:
        losses, back = jax.vjp(lambda x: ctc_loss(x, *args), logits)
        return losses, back(jnp.ones(2))[0]

    compiled = jax.jit(losses_and_gradients)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "program", kernel.whole_array_program)
        compiled(LOGITS, GOOD, np.array([6, 6]), np.array([2, 2]))
    return compiled


@pytest.mark.parametrize("name", BAD)
def test_elsewhere_a_bad_row_is_nan_and_no_other_row_is_touched(name: str, elsewhere: Callable[..., Any]) -> None:
    targets, frames, labels = BAD[name][0]
    frames = np.array([6, 6]) if frames is None else frames
    labels = np.array([2, 2]) if labels is None else labels
    losses, gradient = elsewhere(LOGITS, targets, frames, labels)
    wrong = 0 if name in {"blank", "labels"} else 1
    assert np.isnan(losses[wrong])
    assert np.isnan(gradient[wrong]).any()
    assert np.isfinite(losses[1 - wrong])
    assert np.isfinite(gradient[1 - wrong]).all()


def test_a_label_that_narrowing_would_make_right_is_refused() -> None:
    with pytest.raises(errors.LabelError, match="found label 4294967297"):
        ctc_loss(LOGITS, GOOD + 2**32 * np.array([[1, 0], [0, 0]]))


def test_a_known_label_is_not_narrowed_into_a_right_one_where_lengths_are_traced() -> None:
    large = GOOD + 2**32
    with pytest.raises((ValueError, jax.errors.JaxRuntimeError), match="found label 2147483647"):
        jax.jit(lambda x, n: ctc_loss(x, large, None, n))(LOGITS, np.array([2, 2]))


def test_traced_scores_that_are_no_log_probabilities_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(errors.NormalizationError, match="apply log_softmax once"):
        ctc_loss(LOGITS, GOOD, normalize=False)
    compiled = jax.jit(lambda x: ctc_loss(x, GOOD, normalize=False))
    with pytest.raises((ValueError, jax.errors.JaxRuntimeError), match="apply log_softmax once"):
        compiled(LOGITS).block_until_ready()
    monkeypatch.setattr(kernel, "program", kernel.whole_array_program)
    one = np.stack([LOGITS[0], np.log(np.full((6, 4), 0.25, np.float32))])
    losses = jax.jit(lambda x: ctc_loss(x, GOOD, normalize=False))(one)
    assert np.isnan(losses).tolist() == [True, False]


def test_traced_probabilities_are_told_to_be_logarithms() -> None:
    compiled = jax.jit(lambda x: ctc_loss(x, GOOD, normalize=False))
    words = "logits: row 0 holds probabilities .*; take their logarithm"
    with pytest.raises((ValueError, jax.errors.JaxRuntimeError), match=words):
        compiled(jax.nn.softmax(LOGITS)).block_until_ready()


def test_traced_lengths_that_are_floats_name_the_conversion_of_fractions() -> None:
    with pytest.raises(errors.DTypeError, match=r"fractions of the time axis, round\(fraction \* 6\) for each row"):
        jax.jit(ctc_loss)(LOGITS, GOOD, np.array([1.0, 0.75], np.float32))


def test_infeasible_raise_is_an_error_on_the_cpu_and_nan_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    long = np.array([[1, 1, 1, 1], [1, 2, 3, 1]])
    with pytest.raises(errors.InfeasibleError, match="row 0: no path fits"):
        ctc_loss(LOGITS, long, infeasible="raise")
    compiled = jax.jit(lambda x, t: ctc_loss(x, t, infeasible="raise"))
    with pytest.raises((ValueError, jax.errors.JaxRuntimeError), match="row 0: no path fits"):
        compiled(LOGITS, long).block_until_ready()
    monkeypatch.setattr(kernel, "program", kernel.whole_array_program)
    losses = jax.jit(lambda x, t: ctc_loss(x, t, infeasible="raise"))(LOGITS, long)
    assert np.isnan(losses).tolist() == [True, False]


def test_a_failed_call_leaves_the_next_one_alone() -> None:
    compiled = jax.jit(ctc_loss)
    good = compiled(LOGITS, GOOD)
    for _ in range(3):
        with pytest.raises((ValueError, jax.errors.JaxRuntimeError)):
            compiled(LOGITS, GOOD + 7).block_until_ready()
        np.testing.assert_array_equal(compiled(LOGITS, GOOD), good)


def test_concatenated_targets_are_refused_with_what_to_do() -> None:
    with pytest.raises(errors.ShapeError, match="pad each row to one length, and give target_lengths"):
        ctc_loss(LOGITS, np.array([1, 2, 3]), None, np.array([2, 1]))


@pytest.mark.parametrize("function", [lambda x: ctc_check(x, GOOD), ctc_greedy], ids=["ctc_check", "ctc_greedy"])
def test_what_looks_at_values_says_so_under_jit(function: object) -> None:
    with pytest.raises(jax.errors.TracerArrayConversionError):
        jax.jit(function)(LOGITS)  # type: ignore[arg-type]


def test_importing_the_frontend_starts_no_backend() -> None:
    code = "import seqloss.jax; from jax._src import xla_bridge as b; print(len(b._backends))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "0"


def test_without_jax_the_frontend_names_the_extra() -> None:
    code = "import sys; sys.modules['jax'] = None\nimport seqloss.jax"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "seqloss.jax needs JAX, which is not installed: pip install 'seqloss[jax]'" in out.stderr


@pytest.mark.parametrize("path", [True, False], ids=["CPU kernel", "whole arrays"])
def test_too_few_frames_are_known_without_scores_and_refused_under_grad(
    path: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not path:
        monkeypatch.setattr(kernel, "program", kernel.whole_array_program)
    loss = lambda x: ctc_loss(x, GOOD, [1, 6], infeasible="raise", reduction="sum")  # noqa: E731
    with pytest.raises(errors.InfeasibleError, match="row 0: no path fits: 2 labels with 0 adjacent repeats need 2"):
        jax.grad(loss)(LOGITS)


@pytest.mark.parametrize("path", [True, False], ids=["CPU kernel", "whole arrays"])
@pytest.mark.parametrize("kind", [jnp.int8, jnp.uint8, jnp.uint32, jnp.int64, jnp.uint64], ids=str)
def test_traced_labels_and_lengths_of_any_integer_type(kind: type, path: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not path:
        monkeypatch.setattr(kernel, "program", kernel.whole_array_program)
    expected = ctc_loss(LOGITS, GOOD, np.array([6, 5]))
    with jax.enable_x64(True):
        found = jax.jit(ctc_loss)(LOGITS, jnp.asarray(GOOD, kind), jnp.asarray([6, 5], kind))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_scores_of_another_byte_order_are_refused() -> None:
    with pytest.raises(errors.DTypeError, match=r"logits: expected float16.*found >f4"):
        ctc_loss(LOGITS.astype(">f4"), GOOD)
