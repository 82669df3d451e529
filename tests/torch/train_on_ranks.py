"""The program of each of two ranks: gradients under DistributedDataParallel and FSDP2, saved by the first.

Both average over the ranks, and sum what a rank accumulates without synchronisation. So the sum of a rank's losses is
divided by the total over all ranks and steps, over the number of ranks.
"""

from __future__ import annotations

import contextlib
import datetime
import sys

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.nn.parallel import DistributedDataParallel
from uneven_batch import RANKS, Rows, gradient_of, new_model, reduced_loss, rows

PARTS = {"one step": [[slice(0, 1)], [slice(1, 8)]], "two steps": RANKS}


def count_everywhere(batches: list[Rows], reduction: str) -> float:
    """The rows or labels of all steps on all ranks."""
    total = torch.tensor(float(sum(int(b.labels.sum()) if reduction == "labels" else len(b.labels) for b in batches)))
    dist.all_reduce(total)
    return total.item()


def accumulate(model: torch.nn.Module, batches: list[Rows], reduction: str, denominator: float | None) -> torch.Tensor:
    """The gradient after all steps; without a denominator, that of the mean of each step's reduced loss."""
    for step, batch in enumerate(batches, 1):
        last = step == len(batches)
        if isinstance(model, FSDPModule):
            model.set_requires_gradient_sync(last)
        alone = not last and isinstance(model, DistributedDataParallel)
        with model.no_sync() if alone else contextlib.nullcontext():
            if denominator is None:
                (reduced_loss(model, batch, reduction) / len(batches)).backward()
            else:
                reduced_loss(model, batch, "sum", denominator).backward()
    return gradient_of(model)


def sharded_model() -> torch.nn.Module:
    model = new_model()
    for layer in (model[0], model[2]):
        fully_shard(layer, mesh=init_device_mesh("cpu", (dist.get_world_size(),)))
    return fully_shard(model, mesh=init_device_mesh("cpu", (dist.get_world_size(),)))


MODELS = {"DDP": lambda: DistributedDataParallel(new_model()), "FSDP2": sharded_model}


def main(rank: int, store: str, out: str) -> None:
    limit = datetime.timedelta(seconds=60)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=len(RANKS), timeout=limit)
    found = {}
    for name, model in MODELS.items():
        for parts, of_ranks in PARTS.items():
            batches = [rows(part) for part in of_ranks[rank]]
            for reduction in ("batch", "labels"):
                denominator = count_everywhere(batches, reduction) / dist.get_world_size()
                found[name, parts, reduction] = accumulate(model(), batches, reduction, denominator)
                found[name, parts, f"naive {reduction}"] = accumulate(model(), batches, reduction, None)
    if rank == 0:
        torch.save(found, out)
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
