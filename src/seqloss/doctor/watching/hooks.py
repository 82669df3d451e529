"""Hooks on a model that is watched: copies of the model do not have them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Hook:
    """Calls a function before a module is called.

    A copy of a watched model (of averaged weights, or in a file) must neither report to the watch nor copy it. In a
    copy, `{}.get` stands in its place: called with the module and its inputs, it gives the inputs back, and a file
    with it can be loaded without this library.
    """

    def __init__(self, call: Callable[..., Any]) -> None:
        self.call = call

    def __call__(self, *given: Any) -> Any:
        return self.call(*given)

    def __reduce__(self) -> Any:
        return getattr, ({}, "get")
