"""A callback that watches a training of Hugging Face's Trainer.

Trainer(..., callbacks=[WatchCallback()])
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from seqloss.doctor.findings import Finding, Findings
from seqloss.doctor.watching.follower import Watch
from seqloss.errors import missing_extra

try:
    from transformers import TrainerCallback
except ModuleNotFoundError as error:
    raise missing_extra("Transformers", "huggingface", "seqloss.doctor.huggingface") from error

__all__ = ["WatchCallback"]


class WatchCallback(TrainerCallback):
    """Watch a training as `seqloss.doctor.watch` does; the loss is that of the model's output.

    Each finding is a Python warning, or goes to `on_finding`; all are in `findings`. A loss that the Trainer computes
    itself (`compute_loss_func`, label smoothing) is not that of the model's output: `loss` has to compute it then.

    Args:
        blank: class of the blank, for models that are trained with CTC.
        loss: called with (model, inputs), inputs being the keyword arguments of the model; None for
            `model(**inputs).loss`.
        on_finding: called with each finding at once.

    Raises:
        OptionError: when the training begins, the optimiser holds no weight.

    Example:
        >>> from seqloss.doctor.huggingface import WatchCallback
        >>> WatchCallback(blank=0).findings.names
        []
    """

    def __init__(
        self,
        *,
        blank: int | None = None,
        loss: Callable[[nn.Module, Any], Any] | None = None,
        on_finding: Callable[[Finding], None] | None = None,
    ) -> None:
        self.blank, self.loss, self.on_finding = blank, loss or _loss_of_output, on_finding
        self.watch: Watch | None = None
        self._found = Findings()
        self._handles: list[Any] = []

    @property
    def findings(self) -> Findings:
        """All that was found so far."""
        return self.watch.findings if self.watch else self._found

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        model, optimizer = kwargs["model"], kwargs["optimizer"]
        self.watch = Watch(
            model,
            getattr(optimizer, "optimizer", optimizer),
            blank=self.blank,
            steps=state.max_steps if state.max_steps > 0 else None,
            on_finding=self.on_finding or (lambda finding: warnings.warn(str(finding), stacklevel=2)),
        ).__enter__()
        self._handles = [
            model.register_forward_pre_hook(self._before_call, with_kwargs=True),
            model.register_forward_hook(self._after_call, with_kwargs=True),
        ]

    def _before_call(self, model: nn.Module, inputs: Any, named: dict[str, Any]) -> None:
        if self._is_step(model, named):
            assert self.watch is not None
            self.watch.add_losses(named.get("num_items_in_batch") is not None)
            self.watch.begin(self.loss, dict(named))

    def _after_call(self, model: nn.Module, inputs: Any, named: dict[str, Any], output: Any) -> None:
        if self._is_step(model, named) and getattr(output, "loss", None) is not None:
            assert self.watch is not None
            self.watch.end(self.loss, dict(named), output.loss)

    def _is_step(self, model: nn.Module, named: dict[str, Any]) -> bool:
        """Whether this is the call of a training step, not one of the watching."""
        return self.watch is not None and not self.watch.is_looking and model.training and torch.is_grad_enabled()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        for handle in self._handles:
            handle.remove()
        if self.watch is not None:
            self.watch.__exit__()
            self._found, self.watch = self.watch.findings, None


def _loss_of_output(model: nn.Module, inputs: dict[str, Any]) -> Any:
    return model(**inputs).loss
