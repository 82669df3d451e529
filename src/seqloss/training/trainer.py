"""Lightning's Trainer as every recipe starts it: signals, no messages of the libraries."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import lightning.pytorch as lightning
from lightning.fabric import Fabric
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities.exceptions import SIGTERMException

from seqloss.errors import OptionError

TERMINATED = 128 + signal.SIGTERM


def start_trainer(**options: Any) -> lightning.Trainer:
    """Lightning's Trainer; what it refuses is an `OptionError`."""
    with _refusals_as_option_errors():
        return lightning.Trainer(**options)


def start_fabric(**options: Any) -> Fabric:
    """Lightning's Fabric: devices and precision for a hand-written loop."""
    with _refusals_as_option_errors():
        fabric = Fabric(**options)
        fabric.launch()
        return fabric


@contextmanager
def _refusals_as_option_errors() -> Iterator[None]:
    """Lightning refuses only what came from --accelerator, --devices or --precision."""
    try:
        yield
    except (ValueError, RuntimeError, ModuleNotFoundError, MisconfigurationException) as problem:
        raise OptionError(f"--accelerator, --devices or --precision: {problem}") from problem


def silence_libraries() -> None:
    """Hide what the libraries print about themselves."""
    sys.modules.setdefault("tensorboard.compat.notf", ModuleType("notf"))  # its switch not to import all of TensorFlow
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module=r"lightning\..*")
    warnings.filterwarnings("ignore", module=r"torch\.utils\.data.*")


@contextmanager
def forward_signals(trainer: lightning.Trainer) -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt and SIGTERM exits with 143; Lightning would exit with 1 and with 0.

    Lightning ends the step before it obeys SIGTERM. If the signal went to the whole process group, as `timeout` sends
    it, the loader's workers end at once, and that step fails in one of several ways: none of them is an error.
    """
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SIGTERMException:
        raise SystemExit(TERMINATED) from None
    except SystemExit as left:
        if not isinstance(left.__context__, KeyboardInterrupt):
            raise
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)
        raise KeyboardInterrupt from None
    except Exception:
        if not trainer.received_sigterm:
            raise
        raise SystemExit(TERMINATED) from None
