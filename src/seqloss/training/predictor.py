"""The best epoch of a run, ready for new inputs."""

from __future__ import annotations

from typing import Any

import torch

from seqloss.training.checkpoints import check_weights
from seqloss.training.run import Run
from seqloss.training.task import Batch, Outputs, Task

__all__ = ["Predictor"]


class Predictor:
    """A task's network with the weights of a run's best epoch, on the CPU.

    Args:
        task: with what the run keeps restored: `seqloss.recipes.load_task(folder)`.
        run: its folder.

    Raises:
        RunError: the run has no finished epoch, or its weights are not those of this network.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from seqloss.recipes import load_task
        >>> from seqloss.recipes.autoencoder.settings import Settings
        >>> from seqloss.recipes.autoencoder.task import AutoencoderTask
        >>> from seqloss.training.engine import train
        >>> from seqloss.training.predictor import Predictor
        >>> from seqloss.training.run import Run
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     table, run = Path(folder) / "log.csv", Path(folder) / "run"
        ...     _ = table.write_text("a,b\\n" + "".join(f"{n % 7},{n % 5}\\n" for n in range(900)))
        ...     found = train(AutoencoderTask(Settings(data=str(table), epochs=1)), run, print_line=lambda line: None)
        ...     predictor = Predictor(load_task(run), Run(run))
        ...     prediction = predictor.predict(table)
        >>> len(prediction.scores)  # one for each row of the table
        900
    """

    def __init__(self, task: Task, run: Run) -> None:
        self.task = task
        self.network = task.build_network().eval()
        weights = {name.removeprefix("network."): value for name, value in run.best_weights().items()}
        check_weights(self.network, weights)
        self.network.load_state_dict(weights)

    def predict(self, given: Any) -> Any:
        """The task's prediction for one input.

        Raises:
            DataError: the input cannot be used.
            OptionError: the recipe makes no predictions.
        """
        with torch.inference_mode():
            return self.task.predict(self.network, given)

    def align(self, given: Any, text: str) -> Any:
        """Where each part of a text is in an input.

        Raises:
            DataError: the input or the text cannot be used, or they do not fit.
            OptionError: the recipe aligns no texts.
        """
        with torch.inference_mode():
            return self.task.align(self.network, given, text)

    def outputs(self, batch: Batch) -> Outputs:
        """The network's outputs for a batch."""
        with torch.inference_mode():
            return self.task.forward(self.network, batch)
