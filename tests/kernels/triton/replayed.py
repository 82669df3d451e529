"""A plugin for pytest with which every call on a device is of a form that was seen twice before:

    SEQLOSS_FRONTENDS=triton pytest -p tests.kernels.triton.replayed tests/contract

What is in the memory that such a call gets is then what the calls before have left there.
"""

from __future__ import annotations

from typing import Any

import torch

from seqloss.kernels.triton.ctc import replay

_once = replay.forward


def _thrice(*arguments: torch.Tensor, **options: Any) -> replay.Forward:
    for _ in range(2):
        _once(*arguments, **options)
    return _once(*arguments, **options)


replay.forward = _thrice
