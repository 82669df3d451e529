"""Lightning's Trainer with `WatchTraining`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics import MeanMetric

from seqloss.doctor.lightning import WatchTraining
from seqloss.errors import OptionError

from .trainings import Network, make_batches


class Module(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.network = Network()
        self.seen = MeanMetric()

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        torch.manual_seed(batch_idx)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        loss = (self.network(batch[0]) - batch[1]).square().mean()
        self.seen.update(loss.detach())
        self.log("loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.02)


class NotZeroed(Module):
    def optimizer_zero_grad(self, *_: object) -> None:
        pass


def fit(module: Module, folder: Path, **options: Any) -> WatchTraining:
    watching = WatchTraining("network", on_finding=lambda finding: None)
    inputs, targets = (torch.cat(parts) for parts in zip(*make_batches(), strict=True))
    trainer = lightning.Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=folder,
        **{"callbacks": [watching], **options},
    )  # fmt: skip
    trainer.fit(module, DataLoader(TensorDataset(inputs, targets), 12))
    return watching


@pytest.mark.parametrize("options", [{}, {"accumulate_grad_batches": 3}, {"gradient_clip_val": 0.01},
                                     {"precision": "bf16-mixed"}], ids=str)  # fmt: skip
def test_a_healthy_training_has_no_finding_and_the_same_weights(tmp_path: Path, options: dict[str, Any]) -> None:
    watched, plain = Module(), Module()
    watching = fit(watched, tmp_path, **options)
    fit(plain, tmp_path, callbacks=[], **options)
    assert not watching.findings
    assert not watching.findings.not_checked
    assert all(map(torch.equal, watched.state_dict().values(), plain.state_dict().values()))
    assert watched.seen.compute() == plain.seen.compute()
    assert "training_step" not in vars(watched)


def test_gradients_that_are_not_set_to_zero_are_named(tmp_path: Path) -> None:
    assert "gradients-not-zeroed" in fit(NotZeroed(), tmp_path).findings.names


def test_several_optimizers_are_refused(tmp_path: Path) -> None:
    class Two(Module):
        def configure_optimizers(self) -> Any:
            self.automatic_optimization = False
            return [torch.optim.SGD(self.parameters(), lr=0.02) for _ in range(2)]

    with pytest.raises(OptionError, match="found 2 optimizers"):
        fit(Two(), tmp_path)
