"""The path of accelerators: where it is taken, what its programs hold, and that its parts are what they say.

What it computes is held against the definition by the contract suite (`jax-arrays`) and in `test_whole_arrays.py`.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

import seqloss.numpy as host
from seqloss.formulas.ctc.emissions import prepare_targets
from seqloss.formulas.extended_exponent import NOTHING, Extended
from seqloss.jax import ctc_loss, ctc_posteriors
from seqloss.jax.ctc import kernel
from seqloss.jax.ctc.accelerator import by_class, extended_exponent, scores, total, walk
from seqloss.jax.ctc.accelerator.loss import losses_and_grads
from seqloss.jax.namespace import XP

RNG = np.random.default_rng(0)
LOGITS = 2 * RNG.normal(size=(3, 9, 5)).astype(np.float32)
TARGETS, FRAMES, LABELS = np.array([[1, 2, 2], [3, 4, 0], [1, 0, 0]]), np.array([9, 7, 4]), np.array([3, 2, 1])
ELSEWHERE = ["cuda", "rocm", "tpu"]


def summed(logits: jax.Array, *args: jax.Array) -> jax.Array:
    return ctc_loss(logits, *args, reduction="sum")


PROGRAMS = {
    "loss": ctc_loss,
    "gradient": jax.grad(summed),
    "log-probabilities": jax.grad(lambda x, *args: ctc_loss(x, *args, normalize=False).sum()),
    "raise": jax.grad(lambda x, *args: ctc_loss(x, *args, infeasible="raise").sum()),
    "posteriors": ctc_posteriors,
    "second derivative": lambda x, *args: jax.jvp(jax.grad(lambda x: summed(x, *args)), (x,), (x,)),
    "vmap": lambda x, *args: jax.vmap(lambda x: summed(x, *args))(jnp.stack([x, x])),
}


def lowered(program: Any, platform: str, dtype: Any = np.float32) -> str:
    """The program's text for a platform that need not be here."""
    args = (LOGITS.astype(dtype), TARGETS, FRAMES, LABELS)
    return jax.jit(program).trace(*args).lower(lowering_platforms=(platform,)).as_text()


@pytest.mark.parametrize("platform", ELSEWHERE)
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_for_an_accelerator_holds_no_callback_and_no_foreign_call(name: str, platform: str) -> None:
    prepared = lowered(PROGRAMS[name], platform)
    assert "callback" not in prepared
    assert "custom_call" not in prepared
    assert "stablehlo.while" in prepared


def test_the_platform_a_program_is_lowered_for_chooses_and_not_the_one_at_hand() -> None:
    assert jax.default_backend() == "cpu"
    assert "callback" in lowered(PROGRAMS["gradient"], "cpu")
    assert "callback" not in lowered(PROGRAMS["gradient"], "cuda")


@pytest.mark.parametrize("dtype", [np.float16, jnp.bfloat16, np.float32])
@pytest.mark.parametrize("name", ["gradient", "log-probabilities", "posteriors"])
def test_no_two_threads_write_one_entry(name: str, dtype: Any) -> None:
    """A scatter whose places may coincide adds in any order on a GPU; float64 is nowhere, x64 or not."""
    prepared = lowered(PROGRAMS[name], "cuda", dtype)
    scatters = re.findall(r'"stablehlo\.scatter".*', prepared)
    assert scatters
    assert all("unique_indices = true" in scatter for scatter in scatters)
    assert "select_and_scatter" not in prepared
    assert "f64" not in prepared


@pytest.mark.parametrize("name", ["gradient", "posteriors"])
def test_all_frames_are_walked_in_one_loop(name: str) -> None:
    assert lowered(PROGRAMS[name], "cuda").count("stablehlo.while") == 1


def args_of(*arrays: Any) -> tuple[jax.Array, ...]:
    return tuple(jnp.asarray(array, jnp.int32 if np.asarray(array).dtype.kind == "i" else None) for array in arrays)


@pytest.mark.parametrize("unroll", [2, pytest.param(8, marks=pytest.mark.long)])
def test_any_number_of_frames_a_turn_gives_the_loss_and_the_gradient(unroll: int) -> None:
    """Nine frames: one is left over."""
    given = args_of(LOGITS, TARGETS, FRAMES, LABELS, np.ones(3, np.float32))
    loss, gradient = jax.jit(partial(losses_and_grads, blank=0, normalize=True, unroll=unroll))(*given)
    expected = host.ctc_loss_and_grad(LOGITS, TARGETS, FRAMES, LABELS)
    np.testing.assert_allclose(loss, expected[0], rtol=2e-6)
    np.testing.assert_allclose(gradient, expected[1], rtol=2e-6, atol=2e-7)


@pytest.fixture
def forced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is compiled takes the accelerators' path."""
    monkeypatch.setattr(kernel, "program", kernel.whole_array_program)


def test_repeated_runs_give_the_same_bits(forced: None) -> None:
    compiled = jax.jit(jax.value_and_grad(summed))
    logits = jnp.asarray(RNG.normal(size=(4, 60, 12)), jnp.float32)
    targets = jnp.asarray(RNG.integers(1, 5, (4, 20)))
    loss, gradient = compiled(logits, targets)
    for _ in range(5):
        again = compiled(logits, targets)
        np.testing.assert_array_equal(again[0], loss)
        np.testing.assert_array_equal(again[1], gradient)


def test_under_shard_map_each_shard_is_the_batch_cut(forced: None) -> None:
    mesh = Mesh(np.array(jax.devices()[:1]), ("batch",))
    rows = PartitionSpec("batch")
    mapped = jax.shard_map(ctc_loss, mesh=mesh, in_specs=(rows,) * 4, out_specs=rows)
    found = jax.jit(mapped)(LOGITS, TARGETS, FRAMES, LABELS)
    np.testing.assert_allclose(found, host.ctc_loss(LOGITS, TARGETS, FRAMES, LABELS), rtol=2e-6)


def test_without_a_gradient_the_losses_are_the_same_bits(forced: None) -> None:
    given = args_of(LOGITS, TARGETS, FRAMES, LABELS, np.full(3, 0.5, np.float32))
    both = jax.jit(lambda *a: losses_and_grads(*a, blank=0, normalize=True)[0])(*given)
    alone = jax.jit(lambda *a: losses_and_grads(*a, blank=0, normalize=True, gradient=False)[0])(*given)
    np.testing.assert_array_equal(both, alone)


def exact(x: Extended) -> list[float]:
    """log2 of numbers."""
    return (np.log2(np.asarray(x.value, np.float64)) + 32.0 * np.asarray(x.exponent)).tolist()


def test_exp_is_right_from_its_largest_to_its_smallest() -> None:
    x = np.float32([0.0, -1e-6, -0.4, -22.2, -87.0, -745.0, -1e4, -123456.0, -1e8])
    found = exact(extended_exponent.exp(jnp.asarray(x), jnp.asarray(x) <= 0))
    np.testing.assert_allclose(found, x / np.log(2.0), rtol=1e-7, atol=2e-7)


def test_products_are_normal_and_exact_in_their_logarithm() -> None:
    x = Extended(jnp.float32([2.0**-31, 1.0, 5.75, 1.99]), jnp.int32([-7, 0, 3, 2**20]))
    y = extended_exponent.exp(jnp.float32([-22.0, 0.0, -0.1, -3e7]), jnp.full(4, True))
    found = extended_exponent.multiply(x, y)
    np.testing.assert_allclose(exact(found), np.add(exact(x), exact(y)), rtol=1e-7)
    assert (np.asarray(found.value) >= 2.0**-31).all()
    assert (np.asarray(found.value) < 2.0).all()


@pytest.mark.parametrize("apart", [0, 1, 2, 3, 4, 100, 2**29])
def test_sums_are_right_however_far_apart(apart: int) -> None:
    x, y = Extended(jnp.float32([1.5]), jnp.int32([5])), Extended(jnp.float32([1.25]), jnp.int32([5 - apart]))
    for found in (extended_exponent.add(x, y), extended_exponent.add(y, x)):
        assert float(found.value[0]) == pytest.approx(1.5 + 1.25 * 2.0 ** max(-32 * apart, -1000), rel=2**-24)
        assert int(found.exponent[0]) == 5


def test_zero_stays_zero_and_is_lost_in_every_sum() -> None:
    zero, closed = (
        Extended(jnp.float32([1.7]), jnp.int32([NOTHING])),
        Extended(jnp.float32([1.0]), jnp.int32([NOTHING])),
    )
    zero = jax.lax.fori_loop(
        0, 4000, lambda _, x: extended_exponent.multiply(extended_exponent.add(x, x), closed), zero
    )
    assert bool(extended_exponent.is_zero(zero)[0])
    assert np.isneginf(extended_exponent.log(zero)[0])
    assert (
        float(extended_exponent.add(zero, Extended(jnp.float32([2.0**-31]), jnp.int32([-(2**29)]))).value[0])
        == 2.0**-31
    )


def test_a_million_frames_of_ten_thousand_nats_are_not_taken_for_zero() -> None:
    """What 10,000 nats a frame come to, in steps of 2^32."""
    assert 1e6 * 1e4 / np.log(2) / 32 < -extended_exponent.ZERO_BELOW


def text_of(targets: np.ndarray, lengths: np.ndarray, classes: int) -> Any:
    batch = targets.shape[0]
    return prepare_targets(XP, jnp.zeros((batch, 1, classes)), *args_of(targets, np.ones(batch, int), lengths), 0)


def test_each_class_is_led_by_its_first_label_and_gathers_all_of_them() -> None:
    targets = np.array([[3, 1, 3, 3, 1], [2, 2, 1, 1, 1]])
    prepared = text_of(targets, np.array([5, 3]), 6)
    classes = jax.jit(lambda prepared: by_class.find(prepared, 6, 0, np.float32))(prepared)
    assert classes.place.tolist() == [[5, 1, 6, 0, 6, 6], [5, 2, 0, 6, 6, 6]]
    x = jnp.asarray(2.0 ** np.arange(5, dtype=np.float32))[None, None, :] * jnp.ones((2, 1, 1))
    assert by_class.gathered(x, classes.members)[:, 0].tolist() == [[13, 18, 0, 0, 0], [3, 0, 4, 0, 0]]


def test_the_sum_over_time_is_right_to_a_rounding_or_two_even_where_most_of_it_cancels() -> None:
    x = RNG.normal(size=(8, 30000)).astype(np.float32)
    x[:, 1::2] = 2.0**-9 * RNG.uniform(size=(8, 15000)) - x[:, ::2]
    x = RNG.permuted(x, axis=1)
    x[0], x[1] = 0.0, -np.abs(x[1])
    found = jax.jit(total._sum_over_time)(jnp.asarray(x))
    np.testing.assert_allclose(found, x.astype(np.float64).sum(1), rtol=3 * 2.0**-24)


def split(*given: jax.Array) -> tuple[jax.Array, Extended, jax.Array, jax.Array]:
    """Whether there is a main path; the sum over all paths, and over all but that one; the main path's logarithms."""
    prepared = prepare_targets(XP, *given, 0)
    read = scores.read(given[0], prepared, 0, True)
    sums, main = walk.run(read, prepared, 1), total.main_path(read, prepared, 0)
    return main.spells, sums.total, total.rest(read, sums, prepared, main), read.certain


@pytest.mark.parametrize("margin", [0.0, 4.0, 9.0])
def test_all_paths_but_the_main_one_are_summed_apart(margin: float) -> None:
    """1 + rest is the sum over all paths, for targets that repeat, end on either state, or are empty."""
    best = np.array([[1, 1, 0, 1, 2, 2, 0], [0, 3, 0, 0, 3, 3, 3], [0] * 7, [2, 1, 2, 0, 0, 0, 0]])
    targets = np.array([[1, 1, 2], [3, 3, 0], [0, 0, 0], [2, 1, 2]])
    frames, lengths = np.array([7, 7, 5, 4]), np.array([3, 2, 0, 3])
    logits = (margin + 1.0) * np.eye(5)[best] + RNG.uniform(size=(4, 7, 5))
    given = args_of(logits.astype(np.float32), targets, frames, lengths)
    spells, whole, rest, certain = jax.jit(split)(*given)
    assert spells.all()
    found = np.asarray(rest, np.float64)
    np.testing.assert_allclose(1.0 + found, np.exp2(exact(whole)), rtol=1e-6)
    expected = np.expm1(-host.ctc_loss(logits, targets, frames, lengths) - np.asarray(certain, np.float64).sum(1))
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-6 * (1 + found.max()))
