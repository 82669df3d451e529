"""Accumulation and ranks of uneven rows and labels give the gradient of one big batch: docs/guides/big-batches.md.

Each test's data is such that the usual mean of each step's loss does not, and shows it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import lightning
import pytest
import torch
from torch.utils.data import DataLoader

from seqloss.torch import CTCLoss, ctc_loss, linear_ctc_loss

from .uneven_batch import RANKS, STEPS, TOTALS, Rows, gradient_of, is_far, new_model, one_big_batch, reduced_loss, rows

REDUCTIONS = pytest.mark.parametrize("reduction", TOTALS)


def linear(model: torch.nn.Sequential, batch: Rows, total: float) -> torch.Tensor:
    *_, layer = model
    return linear_ctc_loss(
        model[:-1](batch.features), layer.weight, layer.bias, *batch[1:],
        reduction="sum", denominator=total, infeasible="zero",
    )  # fmt: skip


def drop_in(model: torch.nn.Sequential, batch: Rows, total: float) -> torch.Tensor:
    log_probs = model(batch.features).log_softmax(2).transpose(0, 1)
    return CTCLoss(reduction="sum", zero_infinity=True)(log_probs, *batch[1:]) / total


LOSSES: dict[str, Callable[[torch.nn.Sequential, Rows, float], torch.Tensor]] = {
    "ctc_loss": lambda model, batch, total: reduced_loss(model, batch, "sum", total),
    "linear_ctc_loss": linear,
    "CTCLoss": drop_in,
}


@REDUCTIONS
@pytest.mark.parametrize("loss", LOSSES)
def test_sums_over_the_total_accumulate_to_the_gradient_of_the_one_big_batch(loss: str, reduction: str) -> None:
    model = new_model()
    for step in STEPS:
        LOSSES[loss](model, rows(step), TOTALS[reduction]).backward()
    torch.testing.assert_close(gradient_of(model), one_big_batch(reduction), rtol=1e-11, atol=1e-14)


def test_the_mean_over_labels_and_rows_accumulates_as_losses_over_both() -> None:
    model = new_model()
    for batch in map(rows, STEPS):
        losses = ctc_loss(model(batch.features), *batch[1:], infeasible="zero")
        (losses / batch.labels.clamp(min=1)).sum().div(TOTALS["batch"]).backward()
    torch.testing.assert_close(gradient_of(model), one_big_batch("mean"), rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("reduction", [*TOTALS, "mean"])
def test_the_average_of_the_steps_means_is_another_gradient(reduction: str) -> None:
    model = new_model()
    for step in STEPS:
        (reduced_loss(model, rows(step), reduction) / len(STEPS)).backward()
    assert is_far(gradient_of(model), one_big_batch(reduction))


@pytest.mark.parametrize("reduction", ["batch", "mean"])
def test_the_average_of_steps_with_equally_many_rows_is_the_one_big_batch(reduction: str) -> None:
    model = new_model()
    for step in (slice(0, 4), slice(4, 8)):
        (reduced_loss(model, rows(step), reduction) / 2).backward()
    torch.testing.assert_close(gradient_of(model), one_big_batch(reduction), rtol=1e-11, atol=1e-14)


class Recogniser(lightning.LightningModule):
    """Keeps the gradient of each optimiser step."""

    def __init__(self, denominator: Callable[[int], float] | None) -> None:
        super().__init__()
        self.model, self.denominator, self.gradients = new_model(), denominator, []

    def training_step(self, batch: tuple[Rows, int], number: int) -> torch.Tensor:
        if self.denominator is None:
            return reduced_loss(self.model, batch[0], "labels")
        return reduced_loss(self.model, batch[0], "sum", self.denominator(batch[1]))

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        self.gradients.append(gradient_of(self))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.0)


def train(module: Recogniser, batches: list[tuple[Rows, int]], steps: int) -> list[torch.Tensor]:
    trainer = lightning.Trainer(accelerator="cpu", max_epochs=1, accumulate_grad_batches=steps, barebones=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        trainer.fit(module, train_dataloaders=DataLoader(batches, batch_size=None))
    return module.gradients


def test_lightning_takes_the_total_over_its_number_of_steps_also_where_an_epoch_ends_early() -> None:
    """It divides each step's loss by the number of steps; the last optimiser step of an epoch may have fewer."""
    parts, last = STEPS, slice(1, 8)
    totals = [TOTALS["labels"]] * len(parts) + [int(rows(last).labels.sum())]
    batches = [(rows(part), total) for part, total in zip([*parts, last], totals, strict=True)]
    expected = [one_big_batch("labels"), one_big_batch("labels", last)]
    found = train(Recogniser(lambda total: total / len(parts)), batches, len(parts))
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-14)
    for naive in (Recogniser(None), Recogniser(float)):
        assert all(map(is_far, train(naive, batches, len(parts)), expected))


Gradients = dict[tuple[str, str, str], torch.Tensor]


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> Gradients:
    """The gradients that two processes find together."""
    folder = tmp_path_factory.mktemp("ranks")
    program = [sys.executable, str(Path(__file__).with_name("train_on_ranks.py"))]
    files = [str(folder / "store"), str(folder / "gradients.pt")]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            [*program, str(rank), *files], env=one_thread, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for rank in range(len(RANKS))
    ]  # fmt: skip
    try:
        said = [process.communicate(timeout=120)[0] for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    assert [process.returncode for process in started] == [0, 0], "\n".join(said)[-3000:]
    return torch.load(files[1])


@REDUCTIONS
@pytest.mark.parametrize("steps", [pytest.param("one step", marks=pytest.mark.long), "two steps"])
@pytest.mark.parametrize("wrapper", ["DDP", "FSDP2"])
def test_ranks_that_divide_by_their_share_of_the_total_give_the_gradient_of_the_one_big_batch(
    ranks: Gradients, wrapper: str, steps: str, reduction: str
) -> None:
    expected = one_big_batch(reduction)
    torch.testing.assert_close(ranks[wrapper, steps, reduction], expected, rtol=1e-11, atol=1e-14)
    assert is_far(ranks[wrapper, steps, f"naive {reduction}"], expected)
