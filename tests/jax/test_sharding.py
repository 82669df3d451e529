"""Over two devices of one host, in a process of its own: the number of devices is fixed when JAX starts."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CODE = """
import sys
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
import seqloss.numpy as host
from seqloss.jax import ctc_loss
from seqloss.jax.ctc import kernel

assert jax.device_count() == 2
on_cpu_kernel = sys.argv[1] == "CPU kernel"
if not on_cpu_kernel:
    kernel.program = kernel.whole_array_program
rng = np.random.default_rng(0)
logits = rng.normal(size=(6, 30, 7)).astype(np.float32)
targets, frames = rng.integers(1, 7, (6, 5)), np.array([30, 29, 28, 20, 12, 11])
expected, gradient = host.ctc_loss_and_grad(logits, targets, frames)
mesh = Mesh(np.array(jax.devices()), ("batch",))


def local(x, t, n):
    loss, back = jax.vjp(lambda x: ctc_loss(x, t, n), x)
    total = jax.lax.psum(loss.sum(), "batch")
    return loss, back(jnp.ones_like(loss))[0], total


for check in (True, False):
    parts = (P("batch"),) * 3
    sharded = jax.jit(
        jax.shard_map(local, mesh=mesh, in_specs=parts, out_specs=(P("batch"), P("batch"), P()), check_vma=check)
    )
    for _ in range(30):
        loss, grad, total = jax.block_until_ready(sharded(logits, targets, frames))
        if on_cpu_kernel:
            assert (np.asarray(loss) == expected).all() and (np.asarray(grad) == gradient).all()
        np.testing.assert_allclose(loss, expected, rtol=1e-6)
        np.testing.assert_allclose(grad, gradient, atol=1e-6)
        np.testing.assert_allclose(total, expected.sum(), rtol=1e-6)

def turned(x, t):  # lengths that are the same everywhere, beside scores that are not
    return jax.jvp(jax.grad(lambda x: ctc_loss(x, t, reduction="sum")), (x,), (jnp.ones_like(x),))[1]


over = jax.shard_map(turned, mesh=mesh, in_specs=parts[:2], out_specs=P("batch"))
np.testing.assert_allclose(jax.jit(over)(logits, targets), turned(jnp.asarray(logits), targets), atol=1e-6)


def shared(x, t):  # scores that are the same everywhere: their gradient is the sum over the devices
    return jax.lax.psum(ctc_loss(x, t, reduction="sum"), "batch")


over = jax.shard_map(jax.value_and_grad(shared), mesh=mesh, in_specs=(P(), P("batch")), out_specs=(P(), P()))
value, grad = jax.jit(over)(logits[:3], targets)
both = [host.ctc_loss_and_grad(logits[:3], part) for part in (targets[:3], targets[3:])]
np.testing.assert_allclose(value, sum(loss.sum() for loss, _ in both), rtol=1e-6)
np.testing.assert_allclose(grad, sum(part for _, part in both), atol=1e-6)

split = NamedSharding(mesh, P("batch"))
arrays = [jax.device_put(a, split) for a in (jnp.asarray(logits), jnp.asarray(targets), jnp.asarray(frames))]
loss = jax.jit(ctc_loss)(*arrays)
np.testing.assert_allclose(loss, expected, rtol=1e-6)
print("agreed")
"""


@pytest.mark.parametrize("path", ["CPU kernel", pytest.param("whole arrays", marks=pytest.mark.long)])
def test_shard_map_and_sharded_inputs_give_what_one_device_gives(path: str) -> None:
    flags = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    out = subprocess.run([sys.executable, "-c", CODE, path], env=flags, capture_output=True, text=True, timeout=120)
    assert out.stdout.strip() == "agreed", out.stderr[-2000:]
