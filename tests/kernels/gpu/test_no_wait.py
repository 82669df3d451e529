"""Nothing waits for the device: no number of a tensor is asked for while a call is made, forward or backward.

On a GPU `torch.cuda.set_sync_debug_mode` sees it (`test_on_a_device.py`); here every way in which Python asks a tensor
for a number is closed, and tensors count as a device's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from seqloss.torch import CTCLoss, ctc_align, ctc_loss, ctc_posteriors, on_device

pytestmark = pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") != "1", reason="it pretends, in the interpreter")
LOGITS = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 9, 5))).float()
TARGETS = torch.tensor([[1, 2, 2], [3, 1, 0], [4, 4, 4]])
FRAMES, LABELS = torch.tensor([9, 5, 4]), torch.tensor([3, 2, 3])  # row 2 fits no path
METHODS = (
    "item", "tolist", "cpu", "numpy", "nonzero", "argwhere", "unique", "__bool__", "__int__", "__float__", "__index__",
    "__len__", "__iter__", "is_nonzero", "equal", "allclose", "masked_select", "__array__", "__contains__",
)  # fmt: skip
"""Ways of a tensor to its numbers, and those whose size of answer depends on them."""
OPERATIONS = {"_local_scalar_dense", "nonzero", "masked_select", "unique2", "_unique2", "equal", "is_nonzero"}


class Waiting(Exception):
    pass


class NoNumbers(TorchDispatchMode):
    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function.overloadpacket.__name__ in OPERATIONS:
            raise Waiting(function)
        if function.overloadpacket.__name__ == "index" and any(_is_mask(index) for index in args[1]):
            raise Waiting(function)
        return function(*args, **(kwargs or {}))


def _is_mask(index: torch.Tensor | None) -> bool:
    return index is not None and index.dtype == torch.bool


@contextmanager
def no_numbers() -> Iterator[None]:
    """On a device of its own a launch waits for nothing; in the interpreter it is all numbers, and let be."""
    from triton.runtime.interpreter import GridExecutor

    launch, open_ = GridExecutor.__call__, {name: getattr(torch.Tensor, name) for name in METHODS}
    with pytest.MonkeyPatch.context() as patch:

        def close() -> None:
            for name in METHODS:
                patch.setattr(torch.Tensor, name, _refusing(name))

        def unwatched(*args: Any, **options: Any) -> None:
            for name, method in open_.items():
                patch.setattr(torch.Tensor, name, method)
            with _disable_current_modes():
                launch(*args, **options)
            close()

        patch.setattr(GridExecutor, "__call__", unwatched)
        patch.setattr(on_device, "hidden", lambda values: isinstance(values, torch.Tensor))
        close()
        with NoNumbers():
            yield


def _refusing(name: str) -> Callable[..., Any]:
    def refuse(*args: Any, **options: Any) -> Any:
        raise Waiting(name)

    return refuse


CALLS: dict[str, Callable[[torch.Tensor], Any]] = {
    **{
        f"loss, {reduction}": lambda x, reduction=reduction: ctc_loss(x, TARGETS, FRAMES, LABELS, reduction=reduction)
        for reduction in ("none", "sum", "mean", "batch", "labels")
    },
    "loss without lengths": lambda x: ctc_loss(x, TARGETS, validate=False),
    "loss of log-probabilities": lambda x: ctc_loss(x - 9.0, TARGETS, FRAMES, LABELS, normalize=False),
    "loss that would raise": lambda x: ctc_loss(x, TARGETS, FRAMES, LABELS, infeasible="raise"),
    "loss of concatenated labels": lambda x: ctc_loss(x, torch.tensor([1, 2, 2, 3, 1, 4, 4, 4]), FRAMES, LABELS),
    "loss in a half type": lambda x: ctc_loss(x.bfloat16(), TARGETS, FRAMES, LABELS),
    "loss, lengths of the host": lambda x: ctc_loss(x, TARGETS, [9, 5, 4], np.array([3, 2, 3])),
    "drop-in": lambda x: CTCLoss()(x.log_softmax(2).transpose(0, 1), TARGETS, FRAMES, LABELS),
    "alignment": lambda x: ctc_align(x, TARGETS, FRAMES, LABELS).total,
    "alignment that would raise": lambda x: ctc_align(x, TARGETS, FRAMES, LABELS, infeasible="raise").total,
    "posteriors": lambda x: ctc_posteriors(x, TARGETS, FRAMES, LABELS),
}


@pytest.mark.parametrize("name", CALLS)
def test_no_number_is_asked_for(name: str) -> None:
    with no_numbers():
        x = LOGITS.clone().requires_grad_()
        found = CALLS[name](x)
        if found.requires_grad:
            found.sum().backward()
    if found.requires_grad and name != "loss without lengths":  # padding that counts as labels is NaN
        assert x.grad[:2].isfinite().all()
        assert x.grad.any()


@pytest.mark.parametrize(
    "ask",
    [
        lambda x: x.sum().item(),
        lambda x: bool((x > 0).any()),
        lambda x: x[x > 0],
        lambda x: x.cpu(),
        lambda x: float(x.max()),
        lambda x: (x > 0).nonzero(),
        lambda x: torch.nonzero(x),
        lambda x: torch.masked_select(x, x > 0),
    ],
)
def test_who_asks_for_a_number_is_found_out(ask: Callable[[torch.Tensor], Any]) -> None:
    with no_numbers(), pytest.raises(Waiting):
        ask(LOGITS)
