"""`Task`: everything that a recipe supplies to the training engine.

A recipe must define where its items come from, how they become a batch, what the network is, how it is called, and the
loss. Everything else has a default: metrics, what is monitored, sanity checks, examples, report sections, prediction
and export. The engine never looks into a batch, so a task may use any type that `torch` can move to a device: a
tensor, a dict of tensors, or an object with `to(device)`.

Attribute and method names below are the whole interface; `tests/training/test_toy_recipe.py` is the smallest example.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn
from torchmetrics import Metric as Accumulator

from seqloss.errors import BadRow, OptionError
from seqloss.training.batches import Source
from seqloss.training.optim import make_optimizer, warmup_then_cosine
from seqloss.training.run import Run
from seqloss.training.settings import TrainingSettings

Batch = Any
Outputs = Mapping[str, Tensor]
PrintLine = Callable[[str], None]
Progress = Callable[[int, int], None]
"""Called with (done, total)."""


@dataclass(frozen=True)
class Metric:
    """A measure of held-out items, and how it is shown.

    Attributes:
        name: as logged, "validation/NAME" and "test/NAME".
        short: in a line of text, "val_SHORT=0.2330".
        label: in the report.
        format: of a value, for `str.format`.
        mode: "min" where less is better, "max" where more is.
        chart: title of its diagram in the report, shared by the metrics with the same title; "" for no diagram.
    """

    name: str
    short: str
    label: str
    format: str = "{:.4f}"
    mode: str = "min"
    chart: str = ""


@dataclass(frozen=True)
class StepValue:
    """A value that is recorded at each training step, drawn in the report.

    Attributes:
        name: in RUN/history.json.
        label: title of its diagram.
        limits: of the diagram's axis; None to fit the values.
    """

    name: str
    label: str
    limits: tuple[float, float] | None = None


class Example(NamedTuple):
    """A held-out item in words: what was expected, what the network predicts."""

    target: str
    prediction: str


@dataclass(frozen=True)
class Data:
    """What a run trains and is measured on.

    Attributes:
        sources: by split: "train"; "validation" and "test" if there are any, and other held-out splits.
        digests: NAME_digest -> hash, and other values that follow from the data; a run is resumed only where they are
            the same.
        skipped: rows that were left out.
        note: what the skipped rows have in common; "" for nothing.
    """

    sources: dict[str, Source]
    digests: dict[str, str] = field(default_factory=dict)
    skipped: Sequence[BadRow] = ()
    note: str = ""

    @property
    def held_out(self) -> tuple[str, Source]:
        """("validation", its items), or ("train", the training items as they are stored) where nothing is held out."""
        name = "validation" if "validation" in self.sources else "train"
        return name, self.sources[name].without_augmentation()


class Task(ABC):
    """What a recipe supplies.

    Attributes:
        name: of the recipe; RUN/settings.json stores it.
        item: what one item is called in messages.
        unit: of the loss.
        metrics: of held-out items, besides the loss.
        monitor: name of the metric that decides which epoch is the best, and when to stop; or "loss".
        step_values: what `record_step` returns.
        baseline_name: what `baseline_loss` is the loss of.
        example_title: stands before the examples of an epoch.
        gradient_clip: largest norm of the gradient; a larger one is scaled down.
        overfit_loss: a few items count as learnt at this loss.
        blank: class of the blank, for losses of CTC.

    Args:
        settings: of the run.
    """

    name: ClassVar[str]
    item: ClassVar[str] = "item"
    unit: ClassVar[str] = "nats"
    metrics: ClassVar[Sequence[Metric]] = ()
    monitor: ClassVar[str] = "loss"
    step_values: ClassVar[Sequence[StepValue]] = ()
    baseline_name: ClassVar[str] = "uniform baseline"
    example_title: ClassVar[str] = "target -> prediction"
    gradient_clip: ClassVar[float] = 5.0
    overfit_loss: ClassVar[float] = 0.05
    blank: ClassVar[int | None] = None

    def __init__(self, settings: TrainingSettings) -> None:
        self.settings = settings

    # --- required

    @abstractmethod
    def load_data(
        self, *, skip_bad: bool = False, progress: Progress | None = None, print_line: PrintLine | None = None
    ) -> Data:
        """Find and check the items of each split.

        Args:
            skip_bad: leave invalid rows out instead of raising.
            progress: called with (rows checked, all rows).
            print_line: called with each line that says how the data were read.

        Raises:
            DataError: there are invalid rows; its `rows` lists them all.
        """

    @abstractmethod
    def collate(self, items: Sequence[Any]) -> Batch:
        """Make a batch of items."""

    @abstractmethod
    def build_network(self) -> nn.Module:
        """The network with fresh weights; called after `load_data` or `restore`."""

    @abstractmethod
    def forward(self, network: nn.Module, batch: Batch) -> Outputs:
        """Call the network: name -> tensor."""

    @abstractmethod
    def loss(self, batch: Batch, outputs: Outputs) -> Tensor:
        """The loss of a batch, a scalar in `unit`."""

    # --- what a run keeps besides its weights

    def save(self, run: Run) -> None:  # noqa: B027 - most tasks keep nothing
        """Write what `build_network` needs besides the settings, such as a vocabulary, into the run's folder."""

    def restore(self, run: Run) -> None:  # noqa: B027
        """Read what `save` wrote; nothing there is no error.

        Raises:
            RunError: it is not what the run began with.
        """

    # --- optimization

    def make_optimizer(self, module: nn.Module) -> Any:
        """The optimizer; by default that of the settings."""
        return make_optimizer(self.settings, module)

    def learning_rate_factor(self, step: int, steps: int) -> float:
        """Factor of the learning rate at a step; by default warm-up, then a half cosine."""
        return warmup_then_cosine(step, steps)

    # --- measuring

    def count_items(self, batch: Batch) -> int:
        """Items in a batch."""
        return len(batch)

    def loss_weight(self, batch: Batch) -> int:
        """What a batch's loss weighs in a mean over batches, such as its number of characters."""
        return self.count_items(batch)

    def make_metrics(self) -> dict[str, Accumulator]:
        """A fresh torchmetrics object for each name in `metrics`."""
        return {}

    def update_metrics(self, metrics: Mapping[str, Accumulator], batch: Batch, outputs: Outputs) -> Sequence[Example]:
        """Add a held-out batch to the metrics; return its items in words, of which an epoch shows the first few."""
        return ()

    def split_examples(self, metrics: Mapping[str, Accumulator]) -> Sequence[Example]:
        """Held-out items in words, where that takes the metrics of the whole split."""
        return ()

    def record_step(self, outputs: Outputs) -> dict[str, float]:
        """The `step_values` of a training step."""
        return {}

    @property
    def monitored(self) -> Metric:
        """The metric named by `monitor`."""
        return next(metric for metric in self.all_metrics if metric.name == self.monitor)

    @property
    def all_metrics(self) -> tuple[Metric, ...]:
        """The loss, then `metrics`."""
        return (Metric("loss", "loss", f"loss ({self.unit})"), *self.metrics)

    # --- sanity checks

    def describe_data(self) -> str:
        """Added to the first line of a run, after the number of items."""
        return ""

    def check_data(self, network: nn.Module, data: Data) -> Iterator[str]:
        """Lines on data and network, printed before the first step."""
        yield from ()

    def baseline_loss(self, batch: Batch, outputs: Outputs) -> float | None:
        """The loss of a network that has learnt nothing, to compare the first loss with; None if unknown."""
        return None

    def check_outputs(self, outputs: Outputs) -> Iterator[str]:
        """Lines on what the network returns for the first batch, printed before the first step."""
        yield from ()

    def empty_input(self, batch: Batch) -> Batch | None:
        """The batch with empty input, such as zeros, to see whether the network uses its input; None: not checked."""
        return None

    # --- using a trained run

    def predict(self, network: nn.Module, given: Any) -> Any:
        """The prediction for one new input. `seqloss transcribe` gives a path, and prints str() or the fields of a
        dataclass.

        Raises:
            DataError: the input cannot be used.
        """
        raise OptionError(f"recipe {self.name!r} makes no predictions for files.")

    def align(self, network: nn.Module, given: Any, text: str) -> Any:
        """Where each part of a text is in an input. `seqloss align` gives a path, and writes the
        `seqloss.recipes.recognition.segments.Alignment` that this returns.

        Raises:
            DataError: the input or the text cannot be used, or they do not fit.
        """
        raise OptionError(f"recipe {self.name!r} finds no times of a text; use a run of `seqloss train speech`.")

    def export(self, network: nn.Module, file: Path, items: int) -> int:
        """Write the network's outputs for held-out items, for `seqloss verify --logits`; return how many."""
        raise OptionError(f"recipe {self.name!r} has no logits to export.")

    def report_sections(self) -> Iterable[Callable[[Any], Any]]:
        """Sections of the report that only this recipe has; see `seqloss.report.section`."""
        return ()

    def suggest_command(self, folder: Path) -> str:
        """What to do with the trained run, in a line; "" for nothing."""
        return ""
