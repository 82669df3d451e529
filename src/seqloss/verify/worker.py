"""The worker process: it loads one function, then executes calls until the parent ends."""

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
from seqloss.verify.layouts import LAYOUTS
from seqloss.verify.problem import CallResult

KEY = "SEQLOSS_VERIFY_KEY"
NAMES = ("logits", "targets", "logit_lengths", "target_lengths")


def load_function(source: str) -> Callable:
    """Load a function.

    Args:
        source: "package.module:function" or "file.py:function".

    Returns:
        the function.
    """
    location, _, name = source.rpartition(":")
    if location.endswith(".py"):
        spec = importlib.util.spec_from_file_location(Path(location).stem, location)
        if spec is None or spec.loader is None or not Path(location).is_file():
            raise FileNotFoundError(f"there is no file {location}")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        sys.path.insert(0, str(Path(location).resolve().parent))
        spec.loader.exec_module(module)
    else:
        sys.path.insert(0, str(Path.cwd()))
        module = importlib.import_module(location)
    found: Any = module
    for attribute in name.split("."):
        found = getattr(found, attribute)
    return found


def load_callable(source: str | bytes | Callable) -> tuple[Callable, bool]:
    """The function to verify, and whether it has an argument `upstream`.

    Args:
        source: as in `load_function`, or the function itself, pickled or not.

    Raises:
        Exception: whatever its module raises; a TypeError for what is no function.
    """
    if isinstance(source, str):
        function: Any = load_function(source)
    else:
        function = _unpickle(source) if isinstance(source, bytes) else source
    if not callable(function):
        raise TypeError(f"it is {type(function).__name__}, not a function")
    return function, takes_upstream(function)


def takes_upstream(function: Callable) -> bool:
    """Whether a function has an argument `upstream`.

    Raises:
        TypeError: it has no default. Most calls leave it out.
    """
    try:
        found = inspect.signature(function).parameters.get("upstream")
    except (TypeError, ValueError):
        return False
    if found is not None and found.default is inspect.Parameter.empty:
        raise TypeError("its argument `upstream` has no default: write upstream=None, which stands for 1 in each row")
    return found is not None


def call_function(function: Callable, given: Mapping[str, Any]) -> CallResult:
    """Call a function with copies of the arguments.

    Args:
        function: the implementation.
        given: the arguments by name, and `layout`.

    Returns:
        the result, or the exception; and which arguments were modified.

    Raises:
        KeyboardInterrupt: the user has interrupted the run.
    """
    arrays = {name: np.array(given[name]) for name in NAMES}
    arrays = LAYOUTS[given["layout"]].apply(arrays) if given["layout"] else arrays
    extra = {} if given["upstream"] is None else {"upstream": np.array(given["upstream"])}
    before = {name: array.tobytes() for name, array in (arrays | extra).items()}
    try:
        result = function(*arrays.values(), int(given["blank"]), **extra)
        loss, gradient = result if isinstance(result, tuple) and len(result) == 2 else (result, None)
        loss, gradient = _to_array(loss), None if gradient is None else _to_array(gradient)
    except KeyboardInterrupt:
        raise
    except BaseException as problem:
        return CallResult(raised=_describe_exception(problem), modified=_modified_names(before, arrays | extra))
    return CallResult(loss, gradient, modified=_modified_names(before, arrays | extra))


def _to_array(value: Any) -> np.ndarray:
    """An array of numbers; other types become an object array of the same shape, as the parent may lack their class."""
    array = np.array(value)
    if array.dtype.kind in "fiub" or array.dtype.name == "bfloat16":
        return array
    return np.full(array.shape, None, object)


def _describe_exception(problem: BaseException) -> str:
    try:
        return " ".join(f"{type(problem).__name__}: {problem}".split())[:300]
    except Exception:
        return type(problem).__name__


def _modified_names(before: Mapping[str, bytes], after: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    return tuple(name for name, array in after.items() if array.tobytes() != before[name])


def serve(connection: Connection) -> None:
    """Load the function, then execute calls until the connection is closed."""
    try:
        function, has_upstream = load_callable(connection.recv())
    except errors.VerifyError as reason:
        connection.send(("unavailable", str(reason)))
        return
    except BaseException as problem:
        connection.send(("unusable", f"{type(problem).__name__}: {problem}"))
        return
    connection.send(("ready", has_upstream))
    pid = os.getpid()
    while True:
        try:
            given = connection.recv()
        except EOFError:
            return
        try:
            answer = call_function(function, given)
        except KeyboardInterrupt as interrupt:  # raised by the function: this process has no terminal
            answer = CallResult(raised=_describe_exception(interrupt))
        if os.getpid() != pid:  # the function has forked; only the original process replies
            os._exit(0)
        connection.send(answer)


def _unpickle(pickled: bytes) -> Callable:
    import cloudpickle

    return cloudpickle.loads(pickled)


def _exit_with(parent: int) -> None:
    """Exit when the parent has ended, even during a call."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def main() -> None:
    """Serve the parent whose address is the first argument; the key is in the environment.

    What the implementation prints goes to standard error, which the parent quotes after a crash.
    """
    threading.Thread(target=_exit_with, args=(os.getppid(),), daemon=True).start()
    with Client(sys.argv[1], authkey=bytes.fromhex(os.environ.pop(KEY))) as parent:
        os.dup2(2, 1)
        serve(parent)
