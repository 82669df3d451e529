"""The frames in use of a model's last forward pass: the loss function of a Trainer is not given the attention mask."""

from __future__ import annotations

import weakref
from typing import Any

import torch

from seqloss.torch.huggingface import errors
from seqloss.torch.huggingface.settings import LENGTH_METHODS


class InputLengths:
    """A forward pre-hook that keeps the lengths of the last inputs. It knows no model: copies of a model have copies.

    Attributes:
        passed: whether a forward pass has run whose lengths are not taken yet.
        lengths: the inputs in use of each row, (batch,); None without an attention mask.
    """

    def __init__(self) -> None:
        self.passed = False
        self.lengths: torch.Tensor | None = None

    def __call__(self, model: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        mask = kwargs.get("attention_mask", args[1] if len(args) > 1 else None)
        self.passed, self.lengths = True, None if mask is None else mask.sum(-1)


class FramesInUse:
    """The frames in use, by the attention mask of a model's last forward pass."""

    def __init__(self, model: torch.nn.Module) -> None:
        self._model, self._inputs = model, InputLengths()
        hook = model.register_forward_pre_hook(self._inputs, with_kwargs=True)
        weakref.finalize(self, hook.remove)

    def take(self, logits: torch.Tensor) -> torch.Tensor | None:
        """The frames in use of each row, (batch,), or None for all; only once for each forward pass.

        Raises:
            OptionError: the model has not run since the last call.
            ShapeError: the model's last batch had another size.
        """
        if not self._inputs.passed:
            raise errors.no_forward_pass()
        lengths, self._inputs.passed, self._inputs.lengths = self._inputs.lengths, False, None
        if lengths is None:
            return None
        if lengths.shape != logits.shape[:1]:
            raise errors.wrong_mask(lengths.shape[0], logits.shape[0])
        name = next(name for name in LENGTH_METHODS if hasattr(self._model, name))
        return getattr(self._model, name)(lengths).to(logits.device, torch.long).clamp(min=0)
