"""jit, grad, vmap and the rest: each gives what the plain call gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqloss.numpy as host
from seqloss.jax import ctc_loss, ctc_posteriors
from seqloss.jax.ctc import kernel

RNG = np.random.default_rng(0)
LOGITS = 2 * RNG.normal(size=(3, 9, 5)).astype(np.float32)
TARGETS, FRAMES, LABELS = np.array([[1, 2, 2], [3, 4, 0], [1, 0, 0]]), np.array([9, 7, 4]), np.array([3, 2, 1])
LOSS, GRADIENT = host.ctc_loss_and_grad(LOGITS, TARGETS, FRAMES, LABELS)


@pytest.fixture(params=["CPU kernel", pytest.param("whole arrays", marks=pytest.mark.long)])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What runs on the CPU, and what would run on a GPU or TPU."""
    if request.param != "CPU kernel":
        monkeypatch.setattr(kernel, "program", kernel.whole_array_program)
    return request.param


def same(path: str, found: jax.Array, expected: np.ndarray) -> None:
    """To the bit where the kernel is the same."""
    if path == "CPU kernel":
        np.testing.assert_array_equal(found, expected)
    else:
        np.testing.assert_allclose(found, expected, rtol=2e-6, atol=2e-7)


def total(logits: jax.Array, *args: jax.Array) -> jax.Array:
    return ctc_loss(logits, *args, reduction="sum")


@pytest.mark.parametrize("traced", [True, False], ids=["traced lengths", "static lengths"])
def test_jit_and_grad_with_lengths_traced_or_static(path: str, traced: bool) -> None:
    args = (TARGETS, FRAMES, LABELS)
    if traced:
        value, gradient = jax.jit(jax.value_and_grad(total))(LOGITS, *map(jnp.asarray, args))
        losses = jax.jit(ctc_loss)(LOGITS, *args)
    else:
        value, gradient = jax.jit(jax.value_and_grad(lambda x: total(x, *args)))(LOGITS)
        losses = jax.jit(lambda x: ctc_loss(x, *args))(LOGITS)
    same(path, losses, LOSS)
    same(path, gradient, GRADIENT)
    assert float(value) == pytest.approx(LOSS.sum(), rel=1e-6)


def test_the_program_is_not_compiled_again_for_other_values(path: str) -> None:
    compiled = jax.jit(jax.grad(total))
    for shift in range(3):
        compiled(LOGITS + shift, jnp.asarray(TARGETS), jnp.asarray(FRAMES - shift), jnp.asarray(LABELS))
    assert compiled._cache_size() == 1


def test_vmap_over_batches_is_the_loop_over_them(path: str) -> None:
    stack = jnp.stack([LOGITS, LOGITS[::-1] + 1, LOGITS[:, ::-1]])
    targets = jnp.stack([TARGETS, TARGETS[::-1], TARGETS])
    lengths = jnp.stack([LABELS, LABELS[::-1], LABELS])
    found = jax.vmap(jax.value_and_grad(total), (0, 0, None, 0))(stack, targets, FRAMES, lengths)
    for n in range(3):
        loss, gradient = host.ctc_loss_and_grad(*map(np.asarray, (stack[n], targets[n], FRAMES, lengths[n])))
        assert float(found[0][n]) == pytest.approx(loss.sum(), rel=1e-6)
        same(path, found[1][n], gradient)


def test_vmap_over_single_rows_and_over_logits_alone(path: str) -> None:
    rows = jax.vmap(lambda x, t, a, b: ctc_loss(x[None], t[None], a[None], b[None])[0])(LOGITS, TARGETS, FRAMES, LABELS)
    same(path, rows, LOSS)
    again = jax.vmap(lambda x: ctc_loss(x, TARGETS, FRAMES, LABELS))(jnp.stack([LOGITS, LOGITS]))
    same(path, again, np.stack([LOSS, LOSS]))


def test_jvp_is_the_gradient_times_the_direction(path: str) -> None:
    direction = RNG.normal(size=LOGITS.shape).astype(np.float32)
    loss, change = jax.jvp(lambda x: ctc_loss(x, TARGETS, FRAMES, LABELS), (LOGITS,), (direction,))
    same(path, loss, LOSS)
    np.testing.assert_allclose(change, (GRADIENT * direction).sum((1, 2)), rtol=1e-5, atol=1e-6)
    jacobian = jax.jacfwd(lambda x: ctc_loss(x, TARGETS[:1], FRAMES[:1], LABELS[:1]))(LOGITS[:1])
    np.testing.assert_allclose(jacobian[0], GRADIENT[:1], atol=1e-6)


def slopes(logits: np.ndarray, targets: np.ndarray, frames: np.ndarray, normalize: bool) -> np.ndarray:
    """The Hessian of the summed loss by central differences of the float64 kernel's gradient."""
    step, size = 1e-5, logits.size
    moved = logits[None] + step * np.eye(size).reshape(size, *logits.shape)
    back = logits[None] - step * np.eye(size).reshape(size, *logits.shape)
    above, below = (
        np.stack([host.ctc_loss_and_grad(x, targets, frames, normalize=normalize, validate=False)[1] for x in side])
        for side in (moved, back)
    )
    return ((above - below) / (2 * step)).reshape(*logits.shape, *logits.shape)


SECOND: dict[str, Callable] = {
    "hessian": jax.hessian,
    "jacrev of jacrev": lambda f: jax.jacrev(jax.jacrev(f)),
    "jacfwd of jacfwd": lambda f: jax.jacfwd(jax.jacfwd(f)),
    "jacrev of jacfwd": lambda f: jax.jacrev(jax.jacfwd(f)),
    "jit of hessian": lambda f: jax.jit(jax.hessian(f)),
}


SOON = {"hessian", "jacrev of jacrev"}


@pytest.mark.parametrize(
    "name", [name if name in SOON else pytest.param(name, marks=pytest.mark.long) for name in SECOND]
)
def test_every_second_derivative_is_the_slope_of_the_gradient(name: str) -> None:
    logits = RNG.normal(size=(2, 5, 3))
    targets, frames = np.array([[1, 2, 1], [2, 2, 1]]), np.array([5, 4])
    expected = slopes(logits, targets, frames, True)
    found = SECOND[name](lambda x: ctc_loss(x, targets, frames).sum())(jnp.asarray(logits, jnp.float32))
    np.testing.assert_allclose(found, expected, atol=2e-6)
    assert np.abs(expected).max() > 0.05


@pytest.mark.parametrize(
    ("target", "normalize"), [([], True), pytest.param([1], True, marks=pytest.mark.long), ([2, 2], False)], ids=str
)
def test_hessians_of_short_targets_and_of_log_probabilities(target: list[int], normalize: bool) -> None:
    logits = RNG.normal(size=(1, 4, 3))
    targets, frames = np.array([target], np.int64), np.array([4])
    loss = lambda x: ctc_loss(x, targets, normalize=normalize, validate=False).sum()  # noqa: E731
    found = jax.jit(jax.hessian(loss))(jnp.asarray(logits, jnp.float32))
    np.testing.assert_allclose(found, slopes(logits, targets, frames, normalize), atol=2e-6)


def test_second_derivatives_in_float64_are_right_to_nine_digits() -> None:
    logits, targets = RNG.normal(size=(1, 6, 4)), np.array([[1, 3, 3]])
    with jax.enable_x64(True):
        found = jax.jit(jax.hessian(lambda x: ctc_loss(x, targets).sum()))(jnp.asarray(logits))
    np.testing.assert_allclose(found, slopes(logits, targets, np.array([6]), True), atol=2e-9)


def test_a_row_that_no_path_fits_or_that_is_poisoned_has_no_part_in_anothers_second_derivative() -> None:
    logits = np.array(LOGITS)
    logits[2, 0, 0] = np.nan
    targets, labels = np.array([[1, 2, 2], [1, 1, 1], [1, 0, 0]]), np.array([3, 3, 1])
    frames = np.array([9, 4, 4])
    loss = lambda x: ctc_loss(x, targets, frames, labels, infeasible="zero")  # noqa: E731
    direction = jnp.ones_like(logits).at[:, :, 1].set(-1.0)
    _, turned = jax.jvp(lambda x: jax.vjp(loss, x)[1](jnp.ones(3))[0], (jnp.asarray(logits),), (direction,))
    alone = jax.jvp(
        lambda x: jax.grad(lambda x: ctc_loss(x, targets[:1]).sum())(x), (jnp.asarray(logits[:1]),), (direction[:1],)
    )[1]
    np.testing.assert_allclose(turned[0], alone[0], atol=1e-6)
    assert not turned[1].any()
    assert np.isnan(turned[2, :4]).all()
    assert not turned[2, 4:].any()


def test_a_poisoned_rows_second_derivative_is_nan_in_reverse_too() -> None:
    logits = np.array(LOGITS)
    logits[1, 0, 0] = np.nan
    penalty = lambda x: (jax.grad(lambda y: total(y, TARGETS, FRAMES, LABELS))(x)[:, :, 1] ** 2).sum()  # noqa: E731
    found = jax.grad(penalty)(jnp.asarray(logits))
    assert np.isnan(found[1, :7]).all()
    assert not found[1, 7:].any()
    assert np.isfinite(found[0]).all()
    assert found[0].any()


def test_a_third_derivative_is_refused() -> None:
    f = lambda x: ctc_loss(x, TARGETS[:1, :1]).sum()  # noqa: E731
    with pytest.raises(NotImplementedError, match="no third derivative"):
        jax.jacfwd(jax.hessian(f))(jnp.asarray(LOGITS[:1]))


def test_checkpoint_scan_and_linearize(path: str) -> None:
    args = (TARGETS, FRAMES, LABELS)
    same(path, jax.grad(jax.checkpoint(lambda x: total(x, *args)))(jnp.asarray(LOGITS)), GRADIENT)
    _, losses = jax.lax.scan(lambda _, x: (None, ctc_loss(x, *args)), None, jnp.stack([LOGITS] * 3))
    same(path, losses, np.stack([LOSS] * 3))
    value, linear = jax.linearize(lambda x: ctc_loss(x, *args), jnp.asarray(LOGITS))
    same(path, value, LOSS)
    np.testing.assert_allclose(linear(jnp.ones_like(LOGITS)), 0.0, atol=1e-5)


def test_bfloat16_gradients_come_in_bfloat16_rounded_once(path: str) -> None:
    x = jnp.asarray(LOGITS, jnp.bfloat16)
    gradient = jax.grad(lambda x: 3.0 * total(x, TARGETS, FRAMES, LABELS))(x)
    _, exact = host.ctc_loss_and_grad(np.asarray(x, np.float32), TARGETS, FRAMES, LABELS)
    assert gradient.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.asarray(gradient, np.float32), 3 * exact, rtol=2**-8, atol=1e-6)


def test_posteriors_work_under_jit_and_vmap_and_have_a_derivative(path: str) -> None:
    args = (TARGETS, FRAMES, LABELS)
    expected = host.ctc_posteriors(LOGITS, *args)
    same(path, jax.jit(ctc_posteriors)(LOGITS, *args), expected)
    same(path, jax.vmap(lambda x: ctc_posteriors(x, *args))(LOGITS[None])[0], expected)
    x, step = LOGITS[:1].astype(np.float64), 1e-5
    direction = RNG.normal(size=x.shape)
    above, below = (host.ctc_posteriors(x + side * step * direction, TARGETS[:1]) for side in (1, -1))
    _, change = jax.jvp(
        lambda x: ctc_posteriors(x, TARGETS[:1]), (jnp.asarray(x, jnp.float32),), (jnp.asarray(direction, jnp.float32),)
    )
    np.testing.assert_allclose(change, (above - below) / (2 * step), atol=1e-5)


@pytest.fixture
def double() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def test_float64_needs_x64_and_is_float32_without() -> None:
    assert ctc_loss(LOGITS.astype(np.float64), TARGETS, FRAMES, LABELS).dtype == jnp.float32


def test_with_x64_float64_is_the_numpy_frontends_float64(path: str, double: None) -> None:
    logits = LOGITS.astype(np.float64)
    loss, gradient = host.ctc_loss_and_grad(logits, TARGETS, FRAMES, LABELS)
    found = ctc_loss(logits, TARGETS, FRAMES, LABELS)
    assert found.dtype == jnp.float64
    np.testing.assert_allclose(found, loss, rtol=1e-14)
    turned = jax.grad(lambda x: total(x, TARGETS, FRAMES, LABELS))(jnp.asarray(logits))
    np.testing.assert_allclose(turned, gradient, atol=1e-14)
