"""The functions that torch.compile does not trace, by name: see `seqloss.torch.tracing.untraced`."""

from __future__ import annotations

from collections.abc import Callable

UNTRACED: dict[str, Callable[..., object]] = {}
