"""Two processes that train together."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from seqloss.doctor import watch

from .trainings import Network, make_batches, sgd, squared_error


def shared_sum(model: nn.Module, batch: Any) -> torch.Tensor:
    """A loss that talks to the other process."""
    rows = torch.tensor(float(len(batch[0])))
    dist.all_reduce(rows)
    return (model(batch[0]) - batch[1]).square().sum() / rows


def train(rank: int, kind: str, is_watched: bool) -> tuple[Any, list[torch.Tensor]]:
    model = Network()
    wrapped = model if kind == "not-averaged" else DistributedDataParallel(model)
    optimizer, loss = sgd(model), shared_sum if kind == "talking" else squared_error
    torch.manual_seed(rank)
    watched = watch(wrapped, optimizer, share=1.0)
    if is_watched:
        watched.__enter__()
    for batch in make_batches(12)[rank::2]:
        if kind != "not-zeroed":
            optimizer.zero_grad()
        (watched.step(loss, batch) if is_watched else loss(wrapped, batch)).backward()
        optimizer.step()
    if is_watched:
        watched.__exit__()
    return watched.findings, list(model.state_dict().values())


KINDS = {
    "averaged": (True, []), "one-watched": (False, []), "talking": (True, []),
    "not-averaged": (True, ["ranks-not-averaged"]), "not-zeroed": (True, ["gradients-not-zeroed"]),
}  # fmt: skip


def work(rank: int, store: str, results: Any) -> None:
    torch.set_num_threads(1)
    limit = datetime.timedelta(seconds=30)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2, timeout=limit)
    for kind, (are_both, _) in KINDS.items():
        _, plain = train(rank, kind, is_watched=False)
        findings, weights = train(rank, kind, is_watched=are_both or rank == 0)
        results[kind, rank] = findings.names, dict(findings.not_checked), all(map(torch.equal, plain, weights))
    dist.barrier()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[Any, Any]:
    """Forked, so that nothing is imported again."""
    context = mp.get_context("fork")
    with context.Manager() as manager:
        found = manager.dict()
        store = str(tmp_path_factory.mktemp("ranks") / "store")
        workers = [context.Process(target=work, args=(rank, store, found)) for rank in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
        codes = [worker.exitcode for worker in workers]
        for worker in workers:
            worker.kill()
        assert codes == [0, 0]
        return dict(found)


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes(results: dict[Any, Any], kind: str) -> None:
    for rank in range(2):
        names, not_checked, are_same = results[kind, rank]
        assert are_same
        if rank == 0 or KINDS[kind][0]:
            assert names == KINDS[kind][1]
        if kind == "talking":
            assert "talk to the other processes" in not_checked["gradients"]
        if kind == "one-watched" and rank == 0:
            assert "not all processes" in not_checked["gradients"]
