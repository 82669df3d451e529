"""The choice of Keras' backend if its default, TensorFlow, is not installed.

Keras reads the choice once, when it is imported: from `KERAS_BACKEND`, else from `keras.json`, else TensorFlow. This
module imports neither Keras nor a backend.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from typing import Any

from seqloss.keras._compat import default_keras_config, keras_config_path

BACKENDS = ("jax", "tensorflow", "torch")
NAMES = {"jax": "JAX", "tensorflow": "TensorFlow", "torch": "PyTorch"}
PREFERENCE = ("torch", "jax")
"""Without TensorFlow and without a choice: an imported one, else the first one that is installed."""


def choose_backend() -> None:
    """Set `KERAS_BACKEND` if the user has chosen no backend and TensorFlow is not installed.

    Raises:
        ImportError: the chosen backend is not installed, or none is.
    """
    if sys.modules.get("keras") is not None or not is_installed("keras"):
        return
    chosen, source = _choice()
    if chosen is None:
        if not is_installed("tensorflow"):
            os.environ["KERAS_BACKEND"] = _installed_backend()
    elif chosen in BACKENDS and not is_installed(chosen):
        raise _missing_backend(chosen, source)


def is_installed(package: str) -> bool:
    if package in sys.modules:
        return sys.modules[package] is not None
    try:
        return importlib.util.find_spec(package) is not None
    except ImportError:
        return False


def _choice() -> tuple[str | None, str]:
    """Return the backend that the user chose, or None, and the place of the choice."""
    if os.environ.get("KERAS_BACKEND"):
        return os.environ["KERAS_BACKEND"], "the environment variable KERAS_BACKEND"
    path = keras_config_path()
    try:
        config: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None, ""
    if not isinstance(config, dict) or config == default_keras_config():  # written by Keras itself
        return None, ""
    return config.get("backend"), f'"backend" in {path}'


def _installed_backend() -> str:
    ready = sorted(filter(is_installed, PREFERENCE), key=lambda name: name not in sys.modules)
    if not ready:
        raise ImportError(
            "seqloss.keras needs one of Keras' backends, and none of TensorFlow, JAX and PyTorch is installed: "
            "install one, for example by pip install 'seqloss[torch]'."
        )
    return ready[0]


def _missing_backend(chosen: str, source: str) -> ImportError:
    ready = [name for name in BACKENDS if is_installed(name)]
    other = " or ".join(f"KERAS_BACKEND={name}" for name in ready)
    instead = f", or set {other} before the first import of Keras" if ready else ""
    return ImportError(
        f"seqloss.keras: {source} chooses {chosen!r}, but {NAMES[chosen]} is not installed: install it{instead}."
    )
