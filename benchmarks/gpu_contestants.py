"""Who is timed on a GPU: loss + gradient from logits, each as its users call it, all on the same tensors."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec

import numpy as np
import torch
from workloads import WORKLOADS, Workload

import seqloss.torch

LARGE = [
    Workload("words", 1000, 32, 128, 200),
    Workload("bpe1k", 1500, 32, 1024, 120),
    Workload("bpe5k-64", 500, 64, 5000, 60),
    Workload("text50k", 250, 64, 50000, 40),
    Workload("pages", 8000, 4, 64, 1500),
]
EVERY = [*WORKLOADS, *LARGE]
HALF = {"text50k"}
"""Workloads in bfloat16; the others are in float32."""
DRAWN_THERE = 1 << 27
"""From so many scores on they are drawn on the device."""

Inputs = tuple[torch.Tensor, torch.Tensor]
Call = Callable[[], torch.Tensor]
"""Gives the gradient, (batch, time, classes); in a loop it goes on to the next set of inputs."""


def kind_of(workload: Workload) -> torch.dtype:
    return torch.bfloat16 if workload.name in HALF else torch.float32


def inputs(workload: Workload, sets: int) -> list[Inputs]:
    """Logits and targets on the device, of the workload's own numbers first, then others of their kind."""
    shape, kind = (workload.batch, workload.frames, workload.classes), kind_of(workload)
    generator = torch.Generator("cuda").manual_seed(0)
    if np.prod(shape) < DRAWN_THERE:
        scores, labels = workload.draw()
        logits, targets = torch.from_numpy(scores).to("cuda", kind), torch.from_numpy(labels).cuda()
    else:
        logits = torch.randn(shape, generator=generator, device="cuda", dtype=kind).mul_(3.0)
        rng = np.random.default_rng(0)
        targets = torch.from_numpy(rng.integers(1, workload.classes, (workload.batch, workload.labels))).cuda()
    others = [torch.randn(shape, generator=generator, device="cuda", dtype=kind).mul_(3.0) for _ in range(sets - 1)]
    return [(scores.requires_grad_(), targets) for scores in (logits, *others)]


def seqloss_torch(given: list[Inputs]) -> Call:
    turn = itertools.cycle(given)

    def call() -> torch.Tensor:
        logits, targets = next(turn)
        logits.grad = None
        seqloss.torch.ctc_loss(logits, targets, reduction="sum").backward()
        assert logits.grad is not None
        return logits.grad

    return call


def seqloss_graph(given: list[Inputs]) -> Call:
    """The same, captured once for each set of inputs and replayed: what is left without Python and launches."""
    turns: list[tuple[torch.cuda.CUDAGraph, torch.Tensor]] = []
    for one in given:
        call, stream = seqloss_torch([one]), torch.cuda.Stream()
        with torch.cuda.stream(stream):
            call()
            call()
        stream.synchronize()
        one[0].grad = None
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            turns.append((graph, call()))
    turn = itertools.cycle(turns)

    def replay() -> torch.Tensor:
        graph, gradient = next(turn)
        graph.replay()
        return gradient

    return replay


def torch_native(given: list[Inputs]) -> Call:
    """PyTorch's own CUDA kernel; half types go through float32, which is all it takes."""
    return _torch(given, lambda targets: targets)


def cudnn(given: list[Inputs]) -> Call | None:
    """PyTorch's way into cuDNN, where it takes it: blank 0, float32, whole rows, short 1-D int32 targets on the CPU."""
    logits, targets = given[0]
    batch, frames, _ = logits.shape
    if logits.dtype != torch.float32 or targets.shape[1] >= 256:
        return None
    flat = targets.to("cpu", torch.int32).flatten()
    log_probs = logits.detach().transpose(0, 1)
    if not torch._use_cudnn_ctc_loss(log_probs, flat, [frames] * batch, [targets.shape[1]] * batch, 0):
        return None
    return _torch(given, lambda targets: targets.to("cpu", torch.int32).flatten())


def _torch(given: list[Inputs], form: Callable[[torch.Tensor], torch.Tensor]) -> Call:
    shape, labels = given[0][0].shape, given[0][1].shape[1]
    frames, counts = (torch.full((shape[0],), n, dtype=torch.int32) for n in (shape[1], labels))
    turn = itertools.cycle([(logits, form(targets)) for logits, targets in given])

    def call() -> torch.Tensor:
        logits, targets = next(turn)
        logits.grad = None
        log_probs = logits.log_softmax(-1, dtype=torch.float32).transpose(0, 1)
        torch.nn.functional.ctc_loss(log_probs, targets, frames, counts, reduction="none").sum().backward()
        assert logits.grad is not None
        return logits.grad

    return call


def jax_calls(workload: Workload, given: Inputs) -> Iterator[tuple[str, Callable[[], object]]]:
    """Our loss behind JAX and optax', compiled by XLA for the same device; nothing where JAX sees none."""
    if find_spec("jax") is None or find_spec("optax") is None:
        return
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    import jax
    import optax

    import seqloss.jax

    if jax.default_backend() != "gpu" or kind_of(workload) != torch.float32:
        return
    scores, targets = (jax.numpy.asarray(tensor.detach().cpu().numpy()) for tensor in given)
    frames, counts = (jax.numpy.zeros(array.shape[:2]) for array in (scores, targets))
    losses = {
        "seqloss.jax": lambda x, t: seqloss.jax.ctc_loss(x, t).sum(),
        "optax (jit)": lambda x, t: optax.ctc_loss(x, frames, t, counts).sum(),
    }
    for name, loss in losses.items():
        compiled = jax.jit(jax.grad(loss)).lower(scores, targets).compile()
        yield name, lambda compiled=compiled: jax.block_until_ready(compiled(scores, targets))


CONTESTANTS: dict[str, Callable[[list[Inputs]], Call | None]] = {
    "seqloss.torch": seqloss_torch,
    "seqloss.torch, a graph": seqloss_graph,
    "torch": torch_native,
    "cuDNN": cudnn,
}
