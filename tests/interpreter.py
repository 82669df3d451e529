"""Triton's interpreter under test: as fast as it goes, on a device's terms, and with poisoned memory."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import numpy as np
import pytest
import torch


def hurry() -> None:
    """Leave out what takes most of its time: patching a language that is patched, looking for overflows at each sum.

    It computes with NumPy, whose way of telling underflows no device has: they are not told.
    """
    import triton.language as tl
    from triton.runtime import interpreter

    interpreter.GridExecutor.__call__ = np.errstate(all="ignore")(interpreter.GridExecutor.__call__)

    patch = interpreter._patch_lang

    def patch_once(function: Any) -> Any:
        languages = [value for value in function.__globals__.values() if value is tl or value is tl.core]
        patched = not any(tl.core.is_builtin(language.load) for language in languages)
        return interpreter._LangPatchScope() if patched else patch(function)

    if hasattr(interpreter, "_LangPatchScope"):  # Triton 3.7 and later
        interpreter._patch_lang = patch_once
    builder = interpreter.interpreter_builder
    builder.options = dataclasses.replace(builder.options, sanitize_overflow=False)


class Poisoned:
    """torch, but that fresh memory holds NaN, or a number that no index may be."""

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    @staticmethod
    def empty(*shape: Any, **options: Any) -> torch.Tensor:
        fresh = torch.empty(*shape, **options)
        worst = torch.nan if fresh.is_floating_point() else torch.iinfo(fresh.dtype).max // 3
        return fresh.fill_(worst)


def poison(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every kernel file allocate poisoned memory."""
    from seqloss.kernels.triton.ctc import align, greedy  # noqa: F401, what they import is all there is

    for name, module in list(sys.modules.items()):
        if name.startswith("seqloss.kernels.triton.") and getattr(module, "torch", None) is torch:
            monkeypatch.setattr(module, "torch", Poisoned())
