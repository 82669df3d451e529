"""The process in which an implementation runs: it loads one function, then answers calls until it is told to stop."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any

import numpy as np

from seqloss import errors
from seqloss.verify.forms import FORMS
from seqloss.verify.problem import Answer

KEY = "SEQLOSS_VERIFY_KEY"
NAMES = ("logits", "targets", "logit_lengths", "target_lengths")


def load(source: str) -> Callable:
    """The function that "package.module:function" or "file.py:function" names."""
    place, _, name = source.rpartition(":")
    if place.endswith(".py"):
        spec = importlib.util.spec_from_file_location(Path(place).stem, place)
        if spec is None or spec.loader is None or not Path(place).is_file():
            raise FileNotFoundError(f"there is no file {place}")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        sys.path.insert(0, str(Path(place).resolve().parent))
        spec.loader.exec_module(module)
    else:
        sys.path.insert(0, str(Path.cwd()))
        module = importlib.import_module(place)
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part)
    return found


def takes_upstream(function: Callable) -> bool:
    try:
        return "upstream" in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False


def call(function: Callable, given: Mapping[str, Any]) -> Answer:
    """One call, on copies of the arguments, and what it did.

    Raises:
        KeyboardInterrupt: whoever is at the keyboard ends the run; it says nothing of the function.
    """
    arrays = {name: np.array(given[name]) for name in NAMES}
    arrays = FORMS[given["form"]].apply(arrays) if given["form"] else arrays
    extra = {} if given["upstream"] is None else {"upstream": np.array(given["upstream"])}
    before = {name: array.tobytes() for name, array in (arrays | extra).items()}
    try:
        result = function(*arrays.values(), int(given["blank"]), **extra)
        loss, gradient = result if isinstance(result, tuple) and len(result) == 2 else (result, None)
        loss, gradient = _array(loss), None if gradient is None else _array(gradient)
    except KeyboardInterrupt:
        raise
    except BaseException as problem:
        return Answer(raised=_words(problem), wrote=_changed(before, arrays | extra))
    return Answer(loss, gradient, wrote=_changed(before, arrays | extra))


def _array(value: Any) -> np.ndarray:
    """Of numbers; whatever else comes is told by its shape and type alone, since the parent may not know its class."""
    array = np.array(value)
    if array.dtype.kind in "fiub" or array.dtype.name == "bfloat16":
        return array
    return np.full(array.shape, None, object)


def _words(problem: BaseException) -> str:
    try:
        return " ".join(f"{type(problem).__name__}: {problem}".split())[:300]
    except Exception:
        return type(problem).__name__


def _changed(before: Mapping[str, bytes], after: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    return tuple(name for name, array in after.items() if array.tobytes() != before[name])


def serve(connection: Connection) -> None:
    """Answer until the parent is gone."""
    try:
        first = connection.recv()
        function = load(first) if isinstance(first, str) else _unpickled(first)
        if not callable(function):
            raise TypeError(f"it is {type(function).__name__}, not a function")
    except errors.VerifyError as absent:
        connection.send(("absent", str(absent)))
        return
    except BaseException as problem:
        connection.send(("unusable", f"{type(problem).__name__}: {problem}"))
        return
    connection.send(("ready", takes_upstream(function)))
    here = os.getpid()
    while True:
        try:
            given = connection.recv()
        except EOFError:
            return
        try:
            answer = call(function, given)
        except KeyboardInterrupt as interrupt:  # no terminal reaches this process: the function itself has raised it
            answer = Answer(raised=_words(interrupt))
        if os.getpid() != here:  # the function has forked: one of us answers
            os._exit(0)
        connection.send(answer)


def _unpickled(pickled: bytes) -> Callable:
    import cloudpickle

    return cloudpickle.loads(pickled)


def _leave_with(parent: int) -> None:
    """Nobody asks any more when the parent is gone, however long a call may still take."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def main() -> None:
    """Serve the parent whose address is the first argument, and whose key is in the environment.

    What the implementation prints goes to standard error, which the parent keeps for the day that it dies.
    """
    threading.Thread(target=_leave_with, args=(os.getppid(),), daemon=True).start()
    with Client(sys.argv[1], authkey=bytes.fromhex(os.environ.pop(KEY))) as parent:
        os.dup2(2, 1)
        serve(parent)
