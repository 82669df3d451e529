"""`import seqloss.keras` without TensorFlow uses what is installed, and overrides no choice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import seqloss
from seqloss.keras._compat import default_keras_config

HIDE = """
import sys
class Without:
    def __init__(self, finder):
        self.finder = finder
    def __getattr__(self, name):
        return getattr(self.finder, name)
    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] in {hidden!r} else self.finder.find_spec(name, path, target)
sys.meta_path[:] = map(Without, sys.meta_path)
"""
CALL = """
try:
    import seqloss.keras, keras, numpy as np
    print(keras.config.backend(), float(seqloss.keras.CTC()(np.array([[1]]), np.zeros((1, 2, 3), "float32"))))
except ImportError as error:
    print("ImportError:", error)
"""


def child(folder: Path, *, hidden: tuple[str, ...] = ("tensorflow",), before: str = "", **environment: str) -> str:
    """What a new process prints that imports seqloss.keras with packages hidden and Keras' files in a folder."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("KERAS_BACKEND", "KERAS_HOME")}
    paths = os.pathsep.join([str(Path(seqloss.__file__).parents[1]), *sys.path])
    environment = {**inherited, "PYTHONPATH": paths, "KERAS_HOME": str(folder), **environment}
    code = HIDE.format(hidden=set(hidden)) + before + CALL
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def configure(folder: Path, **choices: str) -> None:
    (folder / "keras.json").write_text(json.dumps({**default_keras_config(), **choices}), encoding="utf-8")


pytestmark = pytest.mark.skipif(
    os.environ["KERAS_BACKEND"] != "torch", reason="child processes are the same for every backend"
)


def test_what_is_installed_is_used(tmp_path: Path) -> None:
    assert child(tmp_path).startswith("torch 1.09")


@pytest.mark.long
def test_an_imported_backend_has_priority(tmp_path: Path) -> None:
    assert child(tmp_path, before="import jax\n").startswith("jax 1.09")


@pytest.mark.long
def test_the_default_config_file_of_keras_is_no_choice(tmp_path: Path) -> None:
    configure(tmp_path)
    assert child(tmp_path, hidden=("tensorflow", "torch")).startswith("jax 1.09")


@pytest.mark.long
def test_a_choice_in_the_file_is_kept(tmp_path: Path) -> None:
    configure(tmp_path, backend="jax")
    assert child(tmp_path).startswith("jax 1.09")


def test_a_file_that_chooses_an_absent_backend_is_named(tmp_path: Path) -> None:
    configure(tmp_path, backend="jax")
    found = child(tmp_path, hidden=("jax", "tensorflow"))
    assert found.startswith("ImportError: ")
    assert "keras.json chooses 'jax', but JAX is not installed" in found
    assert "KERAS_BACKEND=torch" in found


@pytest.mark.long
def test_a_config_file_of_the_user_is_a_choice_of_tensorflow(tmp_path: Path) -> None:
    configure(tmp_path, floatx="float64")
    assert "chooses 'tensorflow', but TensorFlow is not installed" in child(tmp_path)


@pytest.mark.parametrize(("name", "title"), [("tensorflow", "TensorFlow"), ("jax", "JAX")])
def test_an_explicit_choice_is_kept_or_refused(tmp_path: Path, name: str, title: str) -> None:
    found = child(tmp_path, hidden=(name,), KERAS_BACKEND=name)
    assert f"the environment variable KERAS_BACKEND chooses {name!r}, but {title} is not installed" in found
    assert "or set KERAS_BACKEND=" in found


@pytest.mark.long
def test_an_explicit_choice_has_priority_over_imported_backends(tmp_path: Path) -> None:
    assert child(tmp_path, before="import jax\n", KERAS_BACKEND="torch").startswith("torch 1.09")


@pytest.mark.long
def test_keras_imported_before_keeps_its_backend(tmp_path: Path) -> None:
    before = "import os\nos.environ['KERAS_BACKEND'] = 'jax'\nimport keras\ndel os.environ['KERAS_BACKEND']\n"
    assert child(tmp_path, before=before).startswith("jax 1.09")


def test_without_any_backend_an_import_error_is_raised(tmp_path: Path) -> None:
    found = child(tmp_path, hidden=("tensorflow", "jax", "torch"))
    assert found.startswith("ImportError: seqloss.keras needs one of Keras' backends, and none of")
