"""What a user gets: the wheel, installed with `[train]` into an empty environment, has every module and trains."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parents[1]
TWENTY_STEPS = ("--epochs", "1", "--batch", "410")
"""An epoch of the synthetic words is 8192 pictures."""

IMPORT_EVERY_MODULE = """
import importlib, pkgutil, sys
import seqloss

OF_OTHER_EXTRAS = {"cloudpickle", "hypothesis", "jax", "keras", "ml_dtypes", "pytest", "tensorflow", "triton"}
OF_OTHER_EXTRAS |= {"jiwer", "soundfile", "soxr"}

def missing_package(problem):
    while problem is not None:
        if isinstance(problem, ModuleNotFoundError) and problem.name:
            return problem.name.partition(".")[0]
        problem = problem.__cause__ or problem.__context__

imported = 0
for module in pkgutil.walk_packages(seqloss.__path__, "seqloss.", onerror=lambda name: None):
    if module.name.endswith("__main__"):
        continue
    try:
        importlib.import_module(module.name)
        imported += 1
    except ImportError as problem:
        if missing_package(problem) not in OF_OTHER_EXTRAS:
            sys.exit(f"{module.name}: {problem}")
print(seqloss.__file__)
print(imported)
"""


def run(*command: object, **options: object) -> str:
    """Standard output of a command that sees neither this checkout nor its packages."""
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    words = [str(word) for word in command]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The bin folder of a virtual environment with the wheel that `python -m build` makes from the sdist."""
    home = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--outdir", home / "dist", ROOT)
    (wheel,) = (home / "dist").glob("*.whl")
    assert len(list((home / "dist").glob("*.tar.gz"))) == 1
    run(sys.executable, "-m", "venv", home / "venv")
    pip = (home / "venv/bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(*pip, "-c", ROOT / "constraints.txt", f"{wheel}[train]")
    yield home / "venv/bin"
    shutil.rmtree(home)  # gigabytes, which pytest would keep for three sessions


def test_every_module_of_the_wheel_is_imported_unless_another_extras_package_is_missing(
    installed: Path, tmp_path: Path
) -> None:
    file, imported = run(installed / "python", "-c", IMPORT_EVERY_MODULE, cwd=tmp_path).splitlines()
    assert Path(file).is_relative_to(installed.parent)
    assert int(imported) > 60


def test_the_installed_command_trains_twenty_steps_and_writes_the_report(installed: Path, tmp_path: Path) -> None:
    lines = run(installed / "seqloss", "train", "ocr", *TWENTY_STEPS, "--workers", "0", "--out", "run", cwd=tmp_path)
    assert "epoch   1/1" in lines
    assert (tmp_path / "run" / "report.html").stat().st_size > 0
    step = "import torch; print(torch.load('run/checkpoints/last.ckpt', weights_only=False)['global_step'])"
    assert run(installed / "python", "-c", step, cwd=tmp_path).strip() == "20"
