"""The calls that PyTorch's own tests make of its CTC loss, from the generators that it installs."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from unittest.mock import patch

import hypothesis
import torch

from seqloss.torch import CTCLoss, functional, patch_torch_ctc


def torchs_functional(*args: Any, **options: Any) -> torch.Tensor:
    """`torch.nn.functional.ctc_loss`, which computes with seqloss."""
    with warnings.catch_warnings(action="ignore"), patch_torch_ctc():
        return torch.nn.functional.ctc_loss(*args, **options)


class TorchsModule(torch.nn.CTCLoss):
    """`torch.nn.CTCLoss`, which computes with seqloss."""

    def forward(self, *args: Any) -> torch.Tensor:
        with warnings.catch_warnings(action="ignore"), patch_torch_ctc():
            return super().forward(*args)


FUNCTIONS = {"functional": functional.ctc_loss, "patched": torchs_functional}
MODULES = {"CTCLoss": CTCLoss, "patched": TorchsModule}


@contextmanager
def settings_are_kept() -> Iterator[None]:
    """Importing PyTorch's tests would load a profile of Hypothesis and lock the flags of the backends."""
    profile = hypothesis.settings.get_current_profile_name()
    with patch.object(torch.backends, "disable_global_flags", lambda: None):
        yield
    hypothesis.settings.load_profile(profile)


@cache
def operator() -> Any:
    """The OpInfo of `torch.nn.functional.ctc_loss`."""
    with settings_are_kept():
        from torch.testing._internal.common_methods_invocations import op_db
    return next(info for info in op_db if info.name == "nn.functional.ctc_loss")


def operator_samples(kind: torch.dtype, requires_grad: bool = True) -> list[Any]:
    """Twelve calls: three reductions, zero_infinity or not, lengths as lists or tensors."""
    torch.manual_seed(0)
    return list(operator().sample_inputs("cpu", kind, requires_grad=requires_grad))


def module_inputs(kind: torch.dtype, requires_grad: bool = False) -> list[Any]:
    """Forty modules and calls: reductions, blanks, types of targets and lengths."""
    with settings_are_kept():
        from torch.testing._internal.common_modules import module_db
    torch.manual_seed(0)
    (info,) = (info for info in module_db if info.module_cls is torch.nn.CTCLoss)
    inputs = info.module_inputs_func(info, device="cpu", dtype=kind, requires_grad=requires_grad, training=True)
    return list(inputs)
