"""Errors in the words of a replacement's own arguments.

A replacement of another package's loss calls `ctc_loss` inside `rename_arguments`. While a framework traces a program,
the frontend keeps `current_argument_names()`, because the program checks values when it runs, after the call.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

from seqloss.errors import SeqLossError


class ArgumentNames(Protocol):
    """Argument names of a replacement; equal ones have equal hashes, so that programs can be cached by them."""

    def translate(self, message: str) -> str:
        """Return a message of the contract with these names."""


@dataclass(frozen=True)
class WordReplacements:
    """Argument names that need no more than other words in their place.

    Attributes:
        pairs: words of the contract's messages, and what stands for them; replaced in this order.
    """

    pairs: tuple[tuple[str, str], ...]

    def translate(self, message: str) -> str:
        for words, own in self.pairs:
            message = message.replace(words, own)
        return message


_current: ContextVar[ArgumentNames | None] = ContextVar("names", default=None)


def current_argument_names() -> ArgumentNames | None:
    """Return the names for errors of the program that is traced now; they are raised when it runs."""
    return _current.get()


@contextmanager
def rename_arguments(names: ArgumentNames | None) -> Iterator[None]:
    """Raise errors of the contract with these argument names; None changes nothing."""
    if names is None:
        yield
        return
    token = _current.set(names)
    try:
        yield
    except SeqLossError as error:
        raise type(error)(names.translate(str(error))) from None
    finally:
        _current.reset(token)
