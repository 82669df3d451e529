"""The patched source of a recipe as a module of its own."""

from __future__ import annotations

import importlib
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from doctor_trial.fault import apply
from doctor_trial.faults import FAULTS

SOURCES = Path(__file__).parent / "recipes"


def patched_source(recipe: str, fault: str) -> str:
    return apply((SOURCES / f"{recipe}.py").read_text(), FAULTS[fault].patches[recipe])


@contextmanager
def loaded(recipe: str, fault: str) -> Iterator[ModuleType]:
    """Import it from a folder of its own, so that other processes can import it too."""
    name = f"trial_{recipe}"
    with tempfile.TemporaryDirectory(prefix="seqloss-trial-") as folder:
        (Path(folder) / f"{name}.py").write_text(patched_source(recipe, fault))
        sys.path.insert(0, folder)
        importlib.invalidate_caches()
        try:
            yield importlib.import_module(name)
        finally:
            sys.path.remove(folder)
            sys.modules.pop(name, None)
