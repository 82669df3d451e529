"""Callbacks that log gradients and blanks during training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch.optim import Optimizer

from seqloss import contract
from seqloss.doctor.gradient_flow import mean_gradients, plot_gradient_flow
from seqloss.errors import OptionError, missing_extra, wrong_dtype, wrong_logits_dtype
from seqloss.torch.arrays import COMPUTED_IN, IntegerArray, integers_to_numpy

try:
    from lightning.pytorch import LightningModule, Trainer
    from lightning.pytorch.callbacks import Callback
    from lightning.pytorch.utilities.types import STEP_OUTPUT
except ModuleNotFoundError as error:
    raise missing_extra("Lightning", "train", "seqloss.doctor.lightning") from error


class GradientFlow(Callback):
    """Log the mean |gradient| of each layer's weights, to find layers that do not learn.

        gradient/NAME = mean over the entries of |d loss / d weight|

    The metrics go to all loggers of the trainer. At the end of each epoch, loggers that take figures (TensorBoard) get
    the drawing of `seqloss.doctor.plot_gradient_flow`. With several optimizers, each step logs the weights that its
    optimizer trains.

    Args:
        every: number of steps of an optimizer between two measurements.

    Raises:
        OptionError: `every` is below 1.

    Example:
        >>> from lightning.pytorch import Trainer
        >>> from seqloss.doctor.lightning import GradientFlow
        >>> Trainer(callbacks=[GradientFlow(every=20)], logger=False).callbacks[0].every
        20
    """

    def __init__(self, every: int = 50) -> None:
        if every < 1:
            raise OptionError(f"every: found {every}, expected a number of steps from 1 on.")
        self.every = every
        self.last: dict[str, float] = {}
        self.steps: Counter[int] = Counter()  # of each optimizer, by its first weight's id

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Measure and log the gradients at every `every`-th step of this optimizer."""
        first = id(optimizer.param_groups[0]["params"][0])
        if self.steps[first] % self.every == 0:
            found = mean_gradients(pl_module, optimizer)
            self.last |= found
            for logger in trainer.loggers:
                logger.log_metrics({f"gradient/{k}": value for k, value in found.items()}, trainer.global_step)
        self.steps[first] += 1

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the last gradients as a figure, to the loggers that take figures."""
        for logger in trainer.loggers:
            draw = getattr(getattr(logger, "experiment", None), "add_figure", None)
            if draw and self.last:
                draw("gradient flow", plot_gradient_flow(self.last), trainer.global_step)


class BlankShare(Callback):
    """Log the share of blank frames as `blank_share`, to find a network that outputs only blanks.

        blank_share = number of frames in use with argmax_c logits[t, c] = blank / number of frames in use

    A value near 1 means that the network decodes to empty texts. `training_step` must return a dict with "loss" and
    "logits" (batch, time, classes), and "logit_lengths" (batch,) if rows are padded. A step that returns None is left
    out. A step with a frame in use that is not finite is logged as NaN.

    Args:
        blank: class index of the blank; a negative index counts from the last class.

    Raises:
        OptionError: `training_step` returns no logits (raised during training).
        ShapeError: logits or lengths have the wrong rank or size (raised during training).
        DTypeError: logits or lengths have an unsupported element type (raised during training).
        LengthError: a length is negative or larger than the time axis (raised during training).
        LabelError: `blank` is not a class (raised during training).

    Example:
        >>> from lightning.pytorch import Trainer
        >>> from seqloss.doctor.lightning import BlankShare
        >>> Trainer(callbacks=[BlankShare(blank=-1)], logger=False).callbacks[0].blank
        -1
    """

    def __init__(self, blank: int = 0) -> None:
        self.blank = blank

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: STEP_OUTPUT, batch: Any, batch_idx: int
    ) -> None:
        """Log the share of blanks in the logits that `training_step` returned."""
        if outputs is None or (isinstance(outputs, Mapping) and not outputs):
            return
        if not isinstance(outputs, Mapping) or "logits" not in outputs:
            raise OptionError(
                "BlankShare: training_step returned no logits; let it return "
                '{"loss": loss, "logits": logits.detach(), "logit_lengths": lengths}.'
            )
        pl_module.log("blank_share", blank_share(outputs["logits"], outputs.get("logit_lengths"), self.blank))


def blank_share(logits: torch.Tensor, logit_lengths: IntegerArray | None = None, blank: int = 0) -> float:
    """Compute the share of frames whose most probable class is the blank.

        number of frames in use with argmax_c logits[t, c] = blank / number of frames in use

    Args:
        logits: class scores, shape (batch, time, classes), float16, bfloat16, float32 or float64, on any device.
        logit_lengths: number of frames in use of each row, integers, shape (batch,); None for all frames. Later frames
            do not count, whatever they hold.
        blank: class index of the blank; a negative index counts from the last class.

    Returns:
        The share, from 0 to 1; 0 without frames. NaN if a frame in use has no finite largest score: it holds NaN or
        inf, or nothing but -inf.

    Raises:
        ShapeError: an argument has the wrong rank or size.
        DTypeError: an argument has an unsupported element type.
        LengthError: a length is negative or larger than the time axis.
        LabelError: `blank` is not a class.

    Example:
        >>> import torch
        >>> from seqloss.doctor.lightning import blank_share
        >>> logits = torch.tensor([[[9.0, 0.0], [0.0, 9.0], [9.0, 0.0], [9.0, 0.0]]])
        >>> blank_share(logits), blank_share(logits, torch.tensor([2]))
        (0.75, 0.5)
    """
    if not isinstance(logits, torch.Tensor):
        raise wrong_dtype("logits", type(logits).__name__, "a torch.Tensor", "take torch.as_tensor(logits)")
    if logits.dtype not in COMPUTED_IN:
        raise wrong_logits_dtype(logits.dtype)
    no_labels = np.zeros((logits.shape[0] if logits.dim() == 3 else 0, 0), np.int64)
    batch = contract.validate(tuple(logits.shape), no_labels, integers_to_numpy(logit_lengths), blank=blank)
    if not logits.shape[1]:
        return 0.0
    best, classes = logits.detach().max(2)  # (batch, time)
    lengths = torch.from_numpy(batch.logit_lengths).to(logits.device)
    used = torch.arange(logits.shape[1], device=logits.device) < lengths[:, None]
    if bool((used & ~best.isfinite()).any()):
        return float("nan")
    return int((used & (classes == batch.blank)).sum()) / max(1, int(batch.logit_lengths.sum()))
