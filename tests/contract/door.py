"""What the contract suite needs to know of a door: one adapter per door, here bound to one type of the scores.

To bring a further door under the contract, write a `Door` for it and name it in `DOORS`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from seqloss.torch import ctc_loss

HALF = ("float16", "bfloat16")


@dataclass(frozen=True)
class Door(ABC):
    """One door, given scores of one type."""

    dtype: str

    @property
    def half(self) -> bool:
        return self.dtype in HALF

    @property
    def computed_in(self) -> np.dtype:
        return np.dtype(np.float64 if self.dtype == "float64" else np.float32)

    @abstractmethod
    def rounded(self, values: Any) -> np.ndarray:
        """The scores that the door really gets, in float64."""

    @abstractmethod
    def loss(self, logits: Any, targets: Any, *args: Any, **options: Any) -> np.ndarray:
        """`ctc_loss` without a gradient; the array has the type that the door answers in."""

    @abstractmethod
    def loss_and_grad(
        self, logits: Any, targets: Any, *args: Any, upstream: Any = None, **options: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """`ctc_loss` and the gradient of sum(upstream * loss), 1 for None; bfloat16 comes as float32."""


@dataclass(frozen=True)
class TorchDoor(Door):
    """A NumPy array that has the door's type already keeps its memory and strides."""

    name = "torch"

    def tensor(self, values: Any) -> torch.Tensor:
        array = np.asarray(values)
        if array.dtype.kind != "f":
            array = array.astype(np.float64)
        return torch.from_numpy(array).to(getattr(torch, self.dtype))

    def rounded(self, values: Any) -> np.ndarray:
        return self.tensor(values).double().numpy()

    def loss(self, logits: Any, targets: Any, *args: Any, **options: Any) -> np.ndarray:
        return ctc_loss(self.tensor(logits), _integers(targets), *map(_integers, args), **options).numpy()

    def loss_and_grad(
        self, logits: Any, targets: Any, *args: Any, upstream: Any = None, **options: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        x = self.tensor(logits).requires_grad_()
        lengths = {name: _integers(value) for name, value in options.items()}
        loss = ctc_loss(x, _integers(targets), *map(_integers, args), **lengths)
        weights = np.ones(tuple(loss.shape)) if upstream is None else np.array(upstream)
        loss.backward(torch.from_numpy(weights).to(loss))
        assert x.grad is not None
        assert x.grad.dtype == x.dtype
        gradient = x.grad.float() if self.half else x.grad
        return loss.detach().numpy(), gradient.numpy()


def _integers(values: Any) -> Any:
    """Arrays as tensors, as people have them; lists and options as they are."""
    return torch.from_numpy(values) if isinstance(values, np.ndarray) else values


DOORS: list[Door] = [TorchDoor(dtype) for dtype in ("float16", "bfloat16", "float32", "float64")]
