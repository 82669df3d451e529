"""The PyTorch frontend: on the CPU; and before the Triton kernels, on a GPU or in Triton's interpreter."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch

from seqloss.errors import SeqLossWarning
from seqloss.numpy import Alignment, Greedy, Report
from seqloss.torch import ctc_align, ctc_check, ctc_greedy, ctc_loss, ctc_posteriors

from .frontend import Frontend
from .torch_tensors import as_floats, share_arrays


@dataclass(frozen=True)
class TorchFrontend(Frontend):
    name = "torch"
    aligns = True

    def tensor(self, values: Any) -> torch.Tensor:
        return as_floats(values, self.dtype)

    def rounded(self, values: Any) -> np.ndarray:
        return self.tensor(values).double().cpu().numpy()

    def log_softmax(self, scores: Any) -> np.ndarray:
        return self.tensor(scores).log_softmax(-1).double().cpu().numpy()

    def loss(self, logits: Any, targets: Any, *args: Any, **options: Any) -> np.ndarray:
        return ctc_loss(self.tensor(logits), *map(share_arrays, (targets, *args)), **_share_all(options)).cpu().numpy()

    def loss_and_grad(
        self, logits: Any, targets: Any, *args: Any, upstream: Any = None, **options: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        x = self.tensor(logits).detach().requires_grad_()
        loss = ctc_loss(x, *map(share_arrays, (targets, *args)), **_share_all(options))
        weights = np.ones(tuple(loss.shape)) if upstream is None else np.array(upstream)
        loss.backward(torch.from_numpy(weights).to(loss))
        assert x.grad is not None
        assert x.grad.dtype == x.dtype
        gradient = x.grad.float() if self.half else x.grad
        return loss.detach().cpu().numpy(), gradient.cpu().numpy()

    def posteriors(self, logits: Any, targets: Any, *args: Any, **options: Any) -> np.ndarray:
        args = map(share_arrays, (targets, *args))
        return ctc_posteriors(self.tensor(logits), *args, **_share_all(options)).cpu().numpy()

    def align(self, logits: Any, targets: Any, *args: Any, **options: Any) -> Alignment:
        found = ctc_align(self.tensor(logits), *map(share_arrays, (targets, *args)), **_share_all(options))
        return Alignment(*(getattr(found, field.name).cpu().numpy() for field in fields(found)))

    def check(self, logits: Any, targets: Any, *args: Any, **options: Any) -> Report:
        return ctc_check(self.tensor(logits), *map(share_arrays, (targets, *args)), **_share_all(options))

    def greedy(self, logits: Any, *args: Any, **options: Any) -> list[Greedy]:
        return ctc_greedy(self.tensor(logits), *map(share_arrays, args), **_share_all(options))


def _share_all(options: dict[str, Any]) -> dict[str, Any]:
    return {name: share_arrays(value) for name, value in options.items()}


@dataclass(frozen=True)
class TritonFrontend(TorchFrontend):
    """Tensors that go through the Triton kernels: on the first GPU, or on the CPU under TRITON_INTERPRET=1."""

    name = "triton"
    kernel = "gpu"
    sees_scores = os.environ.get("TRITON_INTERPRET") == "1"

    def tensor(self, values: Any) -> torch.Tensor:
        return super().tensor(values).to(TRITON_DEVICE)

    def check(self, logits: Any, targets: Any, *args: Any, **options: Any) -> Report:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "ctc_check has no kernel for cuda", SeqLossWarning)  # it says so once
            return super().check(logits, targets, *args, **options)


TRITON_DEVICE = "cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"
TRITON_FRONTENDS: list[Frontend] = [TritonFrontend(dtype) for dtype in ("float16", "bfloat16", "float32")]
TORCH_FRONTENDS: list[Frontend] = [TorchFrontend(dtype) for dtype in ("float16", "bfloat16", "float32", "float64")]
