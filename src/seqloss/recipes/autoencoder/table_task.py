"""What scoring and the report need of the autoencoder's task."""

from __future__ import annotations

from collections.abc import Sequence

from seqloss.recipes.autoencoder.data import Scale
from seqloss.recipes.autoencoder.settings import Settings
from seqloss.training.task import Task


class TableTask(Task):
    """A task on a table of numbers.

    Attributes:
        settings: of the run.
        names: of the channels.
        scale: mean and deviation of the training rows; None before the data are loaded.
    """

    settings: Settings
    names: Sequence[str]
    scale: Scale | None
