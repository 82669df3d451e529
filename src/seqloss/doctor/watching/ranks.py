"""Whether the processes of a training average their gradients.

Each process puts sketches of its gradients in the store by which the processes have found each other, and reads those
of the others at a later look, if they are there. It calls no collective operation and waits for nobody, so that
one process can be watched alone.

    sketch(g)_k = sum over the entries j of bucket k of sign_j g_j

is linear, and keeps norms on average.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from seqloss.doctor.findings import Finding
from seqloss.doctor.watching.apart import world
from seqloss.doctor.watching.combination import residual
from seqloss.doctor.watching.lost import not_zeroed

BUCKETS = 64

ROUNDING = 1e-2
"""Of sketches, relative to the norm."""

PATIENCE = 1.0
"""Seconds that the end of a training waits for the last sketches."""

CODE = """\
model = torch.nn.parallel.DistributedDataParallel(model)
"""

_watches = itertools.count()


class Ranks:
    """What this process has published and not yet compared, by step."""

    def __init__(self) -> None:
        self.name = f"seqloss/watch/{next(_watches)}"
        self.waiting: dict[int, tuple[Tensor, Tensor]] = {}
        self.handed: dict[int, Tensor] = {}

    def publish(self, step: int, wanted: Tensor, handed: Tensor) -> None:
        """Sketch the gradient of the own losses, and that which the optimiser is given."""
        found = sketch(wanted), sketch(handed)
        if all(one.isfinite().all() and one.any() for one in found):
            self.waiting[step], self.handed[step] = found, found[1]
            _store().set(self._key(step, torch.distributed.get_rank()), found[0].numpy().tobytes().hex())

    def keep(self, handed: Sequence[Tensor | None]) -> tuple[Finding, ...]:
        """Sketch what the optimiser is given at the first step, to find it in the second."""
        parts = [part.to_dense() if part.is_sparse else part for part in handed if part is not None]
        self.handed[1] = sketch(torch.cat([part.flatten().float() for part in parts]).double())
        return ()

    def compare(self, *, is_end: bool = False) -> Iterator[Finding]:
        """Judge the steps whose sketches are all there.

        Raises:
            TimeoutError: at the end, some never came.
        """
        until = time.monotonic() + PATIENCE
        for step, (own, handed) in list(self.waiting.items()):
            keys = [self._key(step, rank) for rank in range(world())]
            while not (are_all := _store().check(keys)) and is_end and time.monotonic() < until:
                time.sleep(0.02)
            if are_all:
                del self.waiting[step]
                parts = [_read(_store().get(key)) for key in keys]
                before = self.handed.get(step - 1)
                yield from judge(own, handed, before, parts, {"step": step, "processes": len(keys)})
        if is_end and self.waiting:
            raise TimeoutError("not all processes of the training are watched")

    def _key(self, step: int, rank: int) -> str:
        return f"{self.name}/{step}/{rank}"


def judge(
    own: Tensor, handed: Tensor, before: Tensor | None, parts: Sequence[Tensor], evidence: Mapping[str, Any]
) -> Iterator[Finding]:
    """Compare what a step is given with the average of all processes, with the own gradient, and with the last step.

    Args:
        own: sketch of the gradient of this process's batch.
        handed: of that which its optimiser is given.
        before: of the same at the step before; None if it is not known.
        parts: of the gradients of all processes.
        evidence: of a finding.
    """
    average = torch.stack(list(parts)).mean(0)
    if residual(handed, average) <= ROUNDING:
        return
    if residual(handed, own) <= ROUNDING:
        yield Finding(
            "ranks-not-averaged", "error", evidence,
            "each process steps with the gradient of its own batch: the processes do not average their gradients, and "
            "their models drift apart",
            "Wrap the model in DistributedDataParallel, and call the wrapped model in the loss", CODE,
        )  # fmt: skip
    elif before is not None and residual(handed, average, before) <= ROUNDING:
        yield not_zeroed(evidence)


def sketch(vector: Tensor) -> Tensor:
    """A few sums of the entries with fixed random signs."""
    signs = torch.randint(0, 2, vector.shape, generator=torch.Generator().manual_seed(0), dtype=torch.int8) * 2 - 1
    signed = torch.nn.functional.pad(vector * signs.to(vector), (0, -len(vector) % BUCKETS))
    return signed.view(-1, BUCKETS).sum(0).double().cpu()


def _read(found: bytes) -> Tensor:
    return torch.frombuffer(bytearray.fromhex(found.decode()), dtype=torch.float64)


def _store() -> Any:
    return torch.distributed.distributed_c10d._get_default_store()
