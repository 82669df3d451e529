"""Accumulation and devices of uneven rows and labels give the gradient of one big batch: docs/guides/big-batches.md.

Each test's data is such that the usual mean of each step's loss does not, and shows it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from seqloss.errors import OptionError
from seqloss.jax import ctc_loss

ROOT = Path(__file__).resolve().parents[2]
FRAMES, LABELS = np.array([12, 9, 12, 5, 10, 7, 11, 6]), np.array([5, 1, 4, 0, 3, 2, 5, 1])
RNG = np.random.default_rng(0)
FEATURES, TARGETS = RNG.normal(size=(8, 12, 4)).astype(np.float32), RNG.integers(1, 6, (8, 5))
WEIGHTS = {"kernel": RNG.normal(size=(4, 6)).astype(np.float32), "bias": RNG.normal(size=6).astype(np.float32)}
TOTALS = {"batch": len(LABELS), "labels": LABELS.sum()}
STEPS = [slice(0, 3), slice(3, 4), slice(4, 8)]


def loss(weights: dict, part: slice = slice(None), **options: object) -> jax.Array:
    logits = FEATURES[part] @ weights["kernel"] + weights["bias"]
    return ctc_loss(logits, TARGETS[part], FRAMES[part], LABELS[part], infeasible="zero", **options)


@partial(jax.jit, static_argnums=(1, 2), static_argnames=("reduction", "denominator"))
def _gradient(weights: dict, start: int, stop: int, **options: object) -> dict:
    return jax.grad(loss)(weights, slice(start, stop), **options)


def gradient(part: slice = slice(0, 8), **options: object) -> dict:
    return _gradient(WEIGHTS, part.start, part.stop, **options)


def accumulate(gradients: list[dict], **options: object) -> dict:
    """The gradient that optax.MultiSteps hands to its optimiser; gradient descent by 1 shows it."""
    optimiser = optax.MultiSteps(optax.sgd(1.0), every_k_schedule=len(gradients), **options)
    state = optimiser.init(WEIGHTS)
    for one in gradients:
        update, state = optimiser.update(one, state, WEIGHTS)
    assert optimiser.has_updated(state)
    return jax.tree.map(jnp.negative, update)


def difference(found: dict, expected: dict) -> float:
    """The norm of the difference of two gradients over the norm of the second."""
    return float(optax.tree.norm(jax.tree.map(jnp.subtract, found, expected)) / optax.tree.norm(expected))


@pytest.mark.parametrize("reduction", TOTALS)
def test_multi_steps_takes_the_total_over_its_number_of_steps(reduction: str) -> None:
    expected, share = gradient(reduction=reduction), float(TOTALS[reduction]) / len(STEPS)
    found = [gradient(part, reduction="sum", denominator=share) for part in STEPS]
    assert difference(accumulate(found), expected) < 1e-6
    assert difference(accumulate([gradient(part, reduction=reduction) for part in STEPS]), expected) > 0.1


def test_multi_steps_that_sums_takes_the_total() -> None:
    found = [gradient(part, reduction="sum", denominator=float(TOTALS["labels"])) for part in STEPS]
    assert difference(accumulate(found, use_grad_mean=False), gradient(reduction="labels")) < 1e-6


@pytest.mark.long
def test_a_total_that_is_traced_divides_the_sum() -> None:
    """A compiled step takes each total without another compilation."""

    @jax.jit
    def step(total: jax.Array) -> dict:
        return jax.grad(lambda weights: loss(weights, reduction="sum") / total)(WEIGHTS)

    for reduction, total in TOTALS.items():
        assert difference(step(float(total)), gradient(reduction=reduction)) < 1e-6
    assert step._cache_size() == 1
    with pytest.raises(OptionError, match=r"denominator: .*found JitTracer.*; to divide by an array"):
        jax.jit(lambda total: loss(WEIGHTS, reduction="sum", denominator=total))(8.0)


ON_TWO_DEVICES = """
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
from seqloss.jax import ctc_loss
from tests.jax.test_big_batches import FEATURES, FRAMES, LABELS, TARGETS, WEIGHTS, difference, gradient

mesh, split = Mesh(np.array(jax.devices()), ("batch",)), P("batch")
order = np.argsort(LABELS)  # one device gets few labels
batch = tuple(a[order] for a in (FEATURES, TARGETS, FRAMES, LABELS))
expected = gradient(reduction="labels")


def local(weights, features, targets, frames, labels, reduction):
    logits = features @ weights["kernel"] + weights["bias"]
    return ctc_loss(logits, targets, frames, labels, infeasible="zero", reduction=reduction)


def summed(weights, *batch):  # jax.grad adds up over the devices: the weights are the same on each
    total = jax.lax.psum(batch[-1].sum(), "batch")
    return jax.grad(lambda w: local(w, *batch, "sum") / total)(weights)


def averaged(weights, *batch):  # without check_vma, it is each device's own gradient
    share = jax.lax.psum(batch[-1].sum(), "batch") / jax.lax.axis_size("batch")
    return jax.lax.pmean(jax.grad(lambda w: local(w, *batch, "sum") / share)(weights), "batch")


def naive(weights, *batch):
    return jax.lax.pmean(jax.grad(local)(weights, *batch, "labels"), "batch")


def over_devices(function, check):
    specs = (P(), *[split] * 4)
    return jax.jit(jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=P(), check_vma=check))


assert difference(over_devices(summed, True)(WEIGHTS, *batch), expected) < 1e-6
assert difference(over_devices(averaged, False)(WEIGHTS, *batch), expected) < 1e-6
assert difference(over_devices(naive, False)(WEIGHTS, *batch), expected) > 0.1
sharded = [jax.device_put(a, NamedSharding(mesh, split)) for a in batch]
assert difference(jax.jit(jax.grad(local), static_argnums=5)(WEIGHTS, *sharded, "labels"), expected) < 1e-6
print("agreed")
"""


@pytest.mark.long
def test_two_devices_give_the_gradient_of_the_one_big_batch() -> None:
    flags = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    code = [sys.executable, "-c", ON_TWO_DEVICES]
    done = subprocess.run(code, env=flags, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "agreed", done.stderr[-2000:]
