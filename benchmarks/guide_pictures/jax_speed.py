"""Milliseconds of loss and gradient under `jax.jit`, beside optax: results/ctc-cpu-avx2.json."""

from __future__ import annotations

from matplotlib.figure import Figure
from times_in_pairs import compare_times


def draw() -> Figure:
    return compare_times(
        {"seqloss.jax": "tab:blue", "optax (jit)": "tab:gray"}, "loss and gradient, jax.jit, one CPU thread"
    )
