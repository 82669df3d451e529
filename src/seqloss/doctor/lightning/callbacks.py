"""Lightning callbacks for any module: what tells a training that learns from one that does not.

Trainer(callbacks=[GradientFlow(), BlankShare()])
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch

from seqloss.doctor.gradient_flow import mean_gradients, plot_gradient_flow
from seqloss.errors import OptionError, missing_extra, wrong_blank

try:
    from lightning.pytorch.callbacks import Callback
except ModuleNotFoundError as error:
    raise missing_extra("Lightning", "train", "seqloss.doctor.lightning") from error


class GradientFlow(Callback):
    """Log the mean |gradient| of each layer's weights as `gradient/NAME`, and once an epoch as a picture.

    Where there are several optimizers, each shows the weights that it trains.

    Args:
        every: steps of an optimizer between two looks.

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

    def on_before_optimizer_step(self, trainer: Any, module: Any, optimizer: Any) -> None:
        first = id(optimizer.param_groups[0]["params"][0])
        if self.steps[first] % self.every == 0:
            found = mean_gradients(module, optimizer)
            self.last |= found
            for logger in trainer.loggers:
                logger.log_metrics({f"gradient/{k}": value for k, value in found.items()}, trainer.global_step)
        self.steps[first] += 1

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        for logger in trainer.loggers:
            draw = getattr(getattr(logger, "experiment", None), "add_figure", None)
            if draw and self.last:
                draw("gradient flow", plot_gradient_flow(self.last), trainer.global_step)


class BlankShare(Callback):
    """Log the share of frames whose best class is the blank as `blank_share`: near 1, a network says nothing.

    `training_step` must return a dict with "loss" and "logits" (batch, time, classes), and "logit_lengths" (batch,) if
    rows are padded. A step that returns None is left out.

    Args:
        blank: its class; negative counts from the end.

    Raises:
        OptionError: the step returns no logits.
        LabelError: the blank is no class.

    Example:
        >>> import torch
        >>> from seqloss.doctor.lightning import blank_share
        >>> logits = torch.tensor([[[9.0, 0.0], [0.0, 9.0], [9.0, 0.0], [9.0, 0.0]]])
        >>> blank_share(logits), blank_share(logits, torch.tensor([2]))
        (0.75, 0.5)
    """

    def __init__(self, blank: int = 0) -> None:
        self.blank = blank

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if outputs is None or (isinstance(outputs, Mapping) and not outputs):
            return
        if not isinstance(outputs, Mapping) or "logits" not in outputs:
            raise OptionError(
                "BlankShare: training_step returned no logits; let it return "
                '{"loss": loss, "logits": logits.detach(), "logit_lengths": lengths}.'
            )
        module.log("blank_share", blank_share(outputs["logits"], outputs.get("logit_lengths"), self.blank))


def blank_share(logits: torch.Tensor, logit_lengths: torch.Tensor | None = None, blank: int = 0) -> float:
    """The share of frames in use whose best class is the blank; 0 if there are none.

    Args:
        logits: (batch, time, classes). logit_lengths: (batch,); None for all frames.
        blank: its class; negative counts from the end.

    Raises:
        LabelError: the blank is no class.
    """
    classes = logits.shape[2]
    if not -classes <= blank < classes:
        raise wrong_blank(blank, classes)
    said = logits.detach().argmax(2) == blank % classes  # (batch, time)
    if logit_lengths is None:
        return int(said.sum()) / max(1, said.numel())
    inside = torch.arange(logits.shape[1], device=logits.device) < logit_lengths.to(logits.device)[:, None]
    return int((said & inside).sum()) / max(1, int(inside.sum()))
