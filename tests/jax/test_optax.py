"""The drop-in gives optax' losses and gradients, to optax' own distance from float64, on 1,000 random valid cases."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from seqloss import errors, reference
from seqloss.jax import optax_ctc_loss

SHAPES = [
    (1, 5, 3, 2),
    (2, 8, 4, 3),
    (3, 12, 6, 5),
    (2, 12, 6, 0),
    (4, 20, 5, 8),
    (1, 30, 9, 10),
    (2, 3, 3, 1),
    (3, 1, 2, 1),
]
CASES = 1000
ULP = 2.0**-24


def case(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Logits, their lengths, labels and their lengths: rows that a path fits, so that both have an answer."""
    rng = np.random.default_rng(seed)
    batch, time, classes, longest = SHAPES[seed % len(SHAPES)]
    logits = rng.choice([0.5, 3.0]) * rng.normal(size=(batch, time, classes))
    blank = blank_of(seed)
    labels = rng.integers(0, classes - 1, (batch, longest))
    labels += labels >= blank
    counts = rng.integers(0, longest + 1, batch)
    frames = np.empty(batch, np.int64)
    for n in range(batch):
        while True:
            row = labels[n, : counts[n]]
            needed = counts[n] + (row[1:] == row[:-1]).sum()
            if needed <= time:
                break
            counts[n] -= 1
        frames[n] = rng.integers(max(needed, 1), time + 1)
    return logits.astype(np.float32), frames, labels, counts


def blank_of(seed: int) -> int:
    """The first class or the last: each costs a compilation."""
    return (SHAPES[seed % len(SHAPES)][2] - 1) * (seed // len(SHAPES) % 2)


def paddings(lengths: np.ndarray, longest: int) -> np.ndarray:
    return (np.arange(longest) >= lengths[:, None]).astype(np.float32)


SOON = {2}
"""Shapes whose cases `make test` looks at; `make test-long` looks at all thousand."""


@pytest.mark.parametrize(
    "shape",
    [pytest.param(n, marks=[pytest.mark.long] * (n not in SOON), id=str(SHAPES[n])) for n in range(len(SHAPES))],
)
def test_a_thousand_cases_agree_with_optax(shape: int) -> None:
    compiled = {}
    for seed in range(shape, CASES, len(SHAPES)):
        logits, frames, labels, counts = case(seed)
        blank = blank_of(seed)
        args = (paddings(frames, logits.shape[1]), labels, paddings(counts, labels.shape[1]))
        if blank not in compiled:
            compiled[blank] = [
                jax.jit(lambda x, *args, f=f, blank=blank: jax.vjp(lambda x: f(x, *args, blank_id=blank), x))
                for f in (optax.ctc_loss, optax_ctc_loss)
            ]
        (theirs, back), (ours, our_back) = (f(logits, *args) for f in compiled[blank])
        weights = jnp.asarray(np.linspace(-1.0, 2.0, len(logits)), jnp.float32)
        (their_grad,), (our_grad,) = back(weights), our_back(weights)
        loss, grad = reference.ctc_loss_and_grad(logits.astype(np.float64), labels, frames, counts, blank=blank)
        grad = grad * np.asarray(weights, np.float64)[:, None, None]
        assert (abs(ours - theirs) <= abs(theirs - loss) + 4 * ULP * loss + 1e-7).all(), f"case {seed}"
        assert (abs(our_grad - their_grad) <= abs(their_grad - grad) + 40 * ULP * abs(weights)[:, None, None]).all()


def test_the_plain_call_is_the_compiled_one() -> None:
    logits, frames, labels, counts = case(3)
    args = (paddings(frames, logits.shape[1]), labels, paddings(counts, labels.shape[1]))
    np.testing.assert_array_equal(optax_ctc_loss(logits, *args), jax.jit(optax_ctc_loss)(logits, *args))


def test_a_row_that_no_path_fits_costs_inf_and_not_optax_finite_number() -> None:
    args = (np.zeros((1, 2, 3), np.float32), np.zeros((1, 2)), np.array([[1, 1]]), np.zeros((1, 2)))
    assert optax_ctc_loss(*args)[0] == np.inf
    assert np.isfinite(optax.ctc_loss(*args)[0])


@pytest.mark.parametrize("paddings", [[[0, 1, 0]], [[1, 0, 0]], [[0, 0.5, 1]]], ids=str)
def test_paddings_that_are_not_zeros_and_then_ones_are_refused_or_nan(paddings: list) -> None:
    args = (np.zeros((1, 3, 3), np.float32), np.array(paddings, np.float32), np.array([[1]]), np.zeros((1, 1)))
    with pytest.raises(errors.LengthError, match=r"logit_paddings\[0\]: expected 0.0 for what is in use"):
        optax_ctc_loss(*args)
    with pytest.raises((ValueError, jax.errors.JaxRuntimeError), match=r"logit_paddings\[0\]: found -1"):
        jax.jit(optax_ctc_loss)(*args).block_until_ready()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({3: np.zeros((1, 3))}, r"label_paddings: expected shape \(1, 2\), that of labels, found \(1, 3\)"),
        ({2: np.array([1, 2])}, r"labels: expected shape two axes, \(batch, ...\), found \(2,\)"),
        ({0: np.zeros((4, 3))}, r"logits: expected shape \(batch, time, classes\), found \(4, 3\)"),
        ({2: [[1, 2], [1]]}, "labels: found rows of uneven length"),
    ],
    ids=["paddings", "rank of labels", "rank of logits", "uneven"],
)
def test_forms_that_do_not_fit_are_refused(change: dict, words: str) -> None:
    args = [np.zeros((1, 4, 3), np.float32), np.zeros((1, 4)), np.array([[1, 2]]), np.zeros((1, 2))]
    for place, value in change.items():
        args[place] = value
    with pytest.raises(errors.ShapeError, match=words):
        optax_ctc_loss(*args)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_blank_in_a_target_names_the_setting_of_optax(compiled: bool) -> None:
    args = (np.zeros((1, 4, 3), np.float32), np.zeros((1, 4)), np.array([[0, 1]]), np.zeros((1, 2)))
    loss = jax.jit(optax_ctc_loss, static_argnames="blank_id") if compiled else optax_ctc_loss
    words = r"labels\[0, 0\]: found label 0, .*: give the true label_paddings if .* with blank_id=\.\.\., or shift"
    with pytest.raises((errors.LabelError, jax.errors.JaxRuntimeError), match=words):
        loss(*args).block_until_ready()
    np.testing.assert_allclose(loss(*args, blank_id=2), optax.ctc_loss(*args, blank_id=2), rtol=1e-5)


def test_a_label_that_is_no_class_is_told_in_optax_words() -> None:
    args = (np.zeros((1, 4, 3), np.float32), np.zeros((1, 4)), np.array([[1, 7]]), np.zeros((1, 2)))
    with pytest.raises(errors.LabelError, match=r"^labels\[0, 1\]: found label 7"):
        optax_ctc_loss(*args)
