"""The folder that a run lives in, so that a run can be killed at any moment and started again.

    RUN/settings.json          what the run was asked for; the same again resumes it, anything else is refused
    RUN/vocabulary.json        the characters, in the order of their classes
    RUN/skipped.csv            rows left out by --skip-bad
    RUN/checkpoints/last.ckpt  after each epoch, with all that resuming needs
    RUN/checkpoints/best.ckpt  the epoch that read the validation pictures best
    RUN/logs/                  TensorBoard
    RUN/result.json            written at the end

Every file is written aside, then renamed: it is the old one or the whole new one.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from lightning.pytorch.plugins.io import TorchCheckpointIO

import torch
from seqloss.data.aside import write_aside
from seqloss.errors import RunError


class Run:
    """A run's folder.

    Args:
        folder: where the run lives, or is to live.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkpoints = folder / "checkpoints"
        self.last = self.checkpoints / "last.ckpt"
        self.best = self.checkpoints / "best.ckpt"
        self.vocabulary = folder / "vocabulary.json"
        self.skipped = folder / "skipped.csv"

    def begin(self, settings: dict[str, Any]) -> None:
        """Start a run, or take one up again.

        Args:
            settings: plain values; a run is resumed only with the same ones.

        Raises:
            RunError: an earlier run in this folder had other settings, or the folder holds something else.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise RunError(f"{self.folder}: expected a folder for the run, found a file; choose another with --out.")
        found = self.read("settings")
        if found is None and self.folder.is_dir() and any(self.folder.iterdir()):
            raise RunError(f"{self.folder}: holds files but no run; choose an empty folder with --out.")
        if found is not None and found != settings:
            names = sorted(name for name in found.keys() | settings.keys() if found.get(name) != settings.get(name))
            changes = "; ".join(f"{name} was {found.get(name)!r}, now {settings.get(name)!r}" for name in names)
            raise RunError(
                f"{self.folder}: holds a run with other settings ({changes}). Give the same settings to resume it, "
                "another folder with --out, or --fresh to set it aside and start anew."
            )
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        for torn in self.checkpoints.glob(".*.part"):
            torn.unlink(missing_ok=True)
        if found is None:
            self.write("settings", settings)

    def set_aside(self) -> None:
        """Rename the folder to the first free RUN.old-K: nothing is lost."""
        if not self.folder.exists():
            return
        number = 1
        while (target := self.folder.with_name(f"{self.folder.name}.old-{number}")).exists():
            number += 1
        self.folder.rename(target)

    def read(self, name: str) -> dict[str, Any] | None:
        """RUN/name.json, or None if it is not there."""
        path = self.folder / f"{name}.json"
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as problem:
            raise RunError(f"{path}: cannot be read ({problem}); start anew with --fresh.") from problem

    def write(self, name: str, values: dict[str, Any]) -> None:
        """RUN/name.json."""
        write_aside(self.folder / f"{name}.json", json.dumps(values, indent=2, ensure_ascii=False) + "\n")

    def weights(self) -> dict[str, torch.Tensor]:
        """The best epoch's weights, on the CPU.

        Raises:
            RunError: there is no finished epoch yet, or the checkpoint cannot be read.
        """
        if not self.best.exists():
            raise RunError(f"{self.folder}: has no finished epoch yet (no {self.best.name}); train it first.")
        return load(self.best)["state_dict"]


def load(path: Path) -> dict[str, Any]:
    """A checkpoint, read as data: nothing in it is executed.

    Raises:
        RunError: the file is torn, or holds more than tensors and plain values.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise RunError(f"{path}: no such checkpoint.") from None
    except Exception as problem:  # whatever a foreign file does to the reader
        reason = str(problem).split("\n")[0]
        raise RunError(f"{path}: is no checkpoint that can be read as plain data ({reason}).") from problem


class AsideCheckpoints(TorchCheckpointIO):
    """Checkpoints written aside and renamed, read without unpickling code."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        target = Path(path)
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            with part.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)
        except (OSError, RuntimeError) as problem:
            if isinstance(problem, RuntimeError) and "write" not in str(problem):
                raise
            raise RunError(
                f"{target}: cannot be written ({str(problem).splitlines()[0]}). The epoch before is safe: "
                "free some space, then give the same command again to go on from there."
            ) from problem
        finally:
            part.unlink(missing_ok=True)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        return load(Path(path))
