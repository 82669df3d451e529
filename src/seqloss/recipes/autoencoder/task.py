"""The autoencoder recipe as a task for the training engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torchmetrics import Metric as Accumulator

from seqloss.counts import format_count
from seqloss.data.number_tables import NumberTable
from seqloss.errors import RunError
from seqloss.recipes.autoencoder.data import Batch, Scale, Window, load_data, stack_windows
from seqloss.recipes.autoencoder.metrics import DetectionMetric
from seqloss.recipes.autoencoder.network import Network
from seqloss.recipes.autoencoder.prediction import score_file
from seqloss.recipes.autoencoder.report_section import reconstruction_section
from seqloss.recipes.autoencoder.settings import Settings
from seqloss.recipes.autoencoder.table_task import TableTask
from seqloss.training.run import Run
from seqloss.training.task import Data, Example, Metric, Outputs, PrintLine, Progress

DIAGRAM = "validation: planted anomalies"

CHANNELS = "table"
"""RUN/table.json: names of the channels."""


class AutoencoderTask(TableTask):
    """Windows of a table to their reconstruction."""

    name = "autoencoder"
    item = "window"
    unit = "mean squared error"
    metrics = (
        Metric("precision", "precision", "precision, planted anomalies", "{:.2%}", mode="max", chart=DIAGRAM),
        Metric("recall", "recall", "recall, planted anomalies", "{:.2%}", mode="max", chart=DIAGRAM),
    )
    baseline_name = "mean of each channel"
    gradient_clip = 0.03
    overfit_loss = 0.05
    settings: Settings

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.names: Sequence[str] = ()
        self.table: NumberTable | None = None
        self.scale: Scale | None = None

    # --- data

    def load_data(
        self, *, skip_bad: bool = False, progress: Progress | None = None, print_line: PrintLine | None = None
    ) -> Data:
        data, self.table, self.scale = load_data(self.settings, skip_bad, print_line or (lambda line: None))
        self.names = list(self.table.names)
        return data

    def collate(self, items: Sequence[Window]) -> Batch:
        return stack_windows(items)

    def save(self, run: Run) -> None:
        run.write_json(CHANNELS, {"channels": list(self.names)})

    def restore(self, run: Run) -> None:
        self.names = (run.read_json(CHANNELS) or {}).get("channels", self.names)

    # --- network

    def build_network(self) -> Network:
        if not self.names:
            raise RunError(f"the run has no {CHANNELS}.json; put it back, or train again.")
        return Network(len(self.names), self.settings)

    def forward(self, network: nn.Module, batch: Batch) -> Outputs:
        """What is to be reconstructed, and its reconstruction; for held-out windows also the errors, with and without
        the anomaly."""
        targets_of = cast(Network, network).targets
        found = {"reconstruction": network(batch.inputs), "targets": targets_of(batch.values)}
        if batch.planted is not None and not network.training:
            found["errors"] = (found["reconstruction"] - found["targets"]).abs()
            found["planted"] = (network(batch.planted) - targets_of(batch.planted)).abs()
        return found

    def loss(self, batch: Batch, outputs: Outputs) -> Tensor:
        return (outputs["reconstruction"] - outputs["targets"]).square().mean()

    # --- measuring

    def make_metrics(self) -> dict[str, Accumulator]:
        return {metric.name: DetectionMetric(self.settings, metric.name) for metric in self.metrics}

    def update_metrics(self, metrics: Mapping[str, Accumulator], batch: Batch, outputs: Outputs) -> Sequence[Example]:
        if "planted" in outputs:
            for metric in metrics.values():
                metric.update(outputs["errors"], outputs["planted"], batch)
        return ()

    # --- sanity checks

    def describe_data(self) -> str:
        what = "differences of " if self.settings.differences else ""
        return f"{what}{format_count(self.settings.window, 'step')} of {format_count(len(self.names), 'channel')}"

    def check_data(self, network: nn.Module, data: Data) -> Iterator[str]:
        numbers = self.settings.window * len(self.names)
        yield f"code: {format_count(self.settings.size, 'value')} for the {numbers} of a window"
        if "validation" not in data.sources:
            yield (
                "nothing is held out: no precision and recall, the last epoch is kept, and seqloss transcribe will not "
                "work, as there is no threshold"
            )

    def baseline_loss(self, batch: Batch, outputs: Outputs) -> float:
        """The loss of 0, the mean of the training rows."""
        return float(self.loss(batch, {**outputs, "reconstruction": torch.zeros_like(outputs["reconstruction"])}))

    def empty_input(self, batch: Batch) -> Batch:
        return replace(batch, inputs=torch.zeros_like(batch.inputs))

    # --- using a trained run

    def predict(self, network: nn.Module, given: Any) -> Any:
        return score_file(self, cast(Network, network), given)

    def report_sections(self) -> Iterable[Callable[[Any], Any]]:
        return [reconstruction_section]
