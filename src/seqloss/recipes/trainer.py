"""Lightning's Trainer as every recipe starts it: quiet, stopping when it should, passing signals on."""

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
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.utilities.exceptions import SIGTERMException

from seqloss.errors import OptionError

TERMINATED = 128 + signal.SIGTERM


def start_trainer(**options: Any) -> lightning.Trainer:
    """Lightning's Trainer."""
    with _options_refused():
        return lightning.Trainer(**options)


def start_fabric(**options: Any) -> Fabric:
    """What Lightning's Trainer stands on: devices and precisions, for a loop of one's own."""
    with _options_refused():
        fabric = Fabric(**options)
        fabric.launch()
        return fabric


@contextmanager
def _options_refused() -> Iterator[None]:
    """What Lightning refuses is the person's accelerator, devices or precision."""
    try:
        yield
    except (ValueError, RuntimeError, ModuleNotFoundError, MisconfigurationException) as problem:
        raise OptionError(f"--accelerator, --devices or --precision: {problem}") from problem


def quiet() -> None:
    """Leave out what the libraries say about themselves."""
    sys.modules.setdefault("tensorboard.compat.notf", ModuleType("notf"))  # its switch not to import all of TensorFlow
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module=r"lightning\..*")
    warnings.filterwarnings("ignore", module=r"torch\.utils\.data.*")


class Stop(EarlyStopping):
    """Stops a run that no longer gets better; also one that had stopped, and was killed before its end."""

    def on_train_start(self, trainer: Any, module: Any) -> None:
        if self.wait_count >= self.patience:
            trainer.should_stop = True


@contextmanager
def signals_passed_on() -> Iterator[None]:
    """Ctrl-C is a KeyboardInterrupt again and SIGTERM exits with 143; Lightning would exit with 1 and with 0."""
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
