"""Triton's interpreter under test: as fast as it goes, on a device's terms, and with poisoned memory."""

from __future__ import annotations

import dataclasses
import functools
import sys
from typing import Any

import numpy as np
import pytest
import torch


def hurry() -> None:
    """Leave out what takes most of its time.

    It patches a language that is patched, looks for overflows at each sum, and derives from each shape and type anew
    what follows from them.

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
    interpreter._get_np_dtype = remembered_types(interpreter._get_np_dtype)
    tl.block_type.__init__ = remembered_shapes(tl.block_type.__init__)
    tl.tensor.__init__ = remembered_axes(tl.tensor.__init__)
    semantics = type(interpreter.interpreter_semantic)
    semantics.computation_type_impl = functools.cache(semantics.computation_type_impl)
    tl.tuple.__eq__ = equal_lists(tl.tuple.__eq__, tl.constexpr)
    tl.tuple.__getitem__ = by_number(tl.tuple.__getitem__)
    tl.dtype.is_int = among(tl.dtype.SINT_TYPES + tl.dtype.UINT_TYPES)


def among(names: list[str]) -> Any:
    """Whether a type's name is one of some, without a new list of them each time."""
    found = frozenset(names)
    return lambda self: self.name in found


def equal_lists(equal: Any, constant: Any) -> Any:
    """Compare a shape with a list as it stands, not with a tuple of Triton's that is made of it."""
    return lambda self, other: constant(self.values == other) if type(other) is list else equal(self, other)


def by_number(get: Any) -> Any:
    """An element of a shape by a number, without making a constant of that."""
    return lambda self, place: self.values[place] if type(place) is int else get(self, place)


def remembered_types(look_up: Any) -> Any:
    """NumPy's type of each of Triton's: the interpreter builds the table of them each time that it is asked."""
    found: dict[str, np.dtype] = {}

    def remembered(kind: Any) -> np.dtype:
        name = kind.scalar.name
        if name not in found:
            found[name] = look_up(kind)
        return found[name]

    return remembered


def remembered_shapes(init: Any) -> Any:
    """The constructor of a block's type, but that types of one shape share what follows from the shape."""
    found: dict[Any, Any] = {}

    def remembered(self: Any, element_ty: Any, shape: Any) -> None:
        key = tuple(shape)
        try:
            known = found.get(key)
        except TypeError:  # a size that is no number is Triton's to refuse
            known = None
        if known is None:
            init(self, element_ty, shape)
            if all(type(size) is int for size in key):
                found[key] = self.shape, self.numel, str(self.shape)
            return
        self.element_ty = element_ty
        self.shape, self.numel, text = known
        self.name = f"<{text}, {element_ty}>"

    return remembered


def remembered_axes(init: Any) -> Any:
    """The constructor of a tensor, but that tensors of one type's shape share the constants that it says it with."""
    found: dict[Any, Any] = {}

    def remembered(self: Any, handle: Any, type: Any) -> None:
        key = tuple(type.shape) if type.is_block() else ()
        if key not in found:
            init(self, handle, type)
            found[key] = self.shape, self.numel
            return
        self.handle, self.type, self.dtype = handle, type, type.scalar
        self.shape, self.numel = found[key]

    return remembered


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
