"""The folder of a run. A run can be killed at any moment and resumed.

    RUN/settings.json          the recipe's name, its settings, digests of its data; a run is resumed only with the same
    RUN/vocabulary.json        and whatever else the recipe keeps
    RUN/skipped.csv            rows left out by --skip-bad
    RUN/checkpoints/last.ckpt  after each epoch, with all that resuming needs
    RUN/checkpoints/best.ckpt  the best epoch by the monitored metric
    RUN/findings.json          what the doctor found, before the first step and later
    RUN/logs/                  TensorBoard
    RUN/result.json            written at the end
    RUN/.lock                  held by the process that trains; the system releases it when that process dies

Every file is written atomically: it holds its old content or its whole new content.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import torch

from seqloss.data.atomic_write import write_atomically
from seqloss.errors import RunError, StorageError
from seqloss.training.checkpoints import load_checkpoint

__all__ = ["Run"]

try:
    import fcntl
except ImportError:  # Windows: a second process is not kept out
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"

DIGEST = "_digest"
"""Ends the names of settings whose values mean nothing to a person."""


class Run:
    """A run's folder.

    Args:
        folder: of the run; it need not exist yet.

    Raises:
        RunError: `begin` finds another run, other files, or a run that is being trained.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from seqloss.training.run import Run
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     run = Run(Path(folder) / "run")
        ...     with run.begin({"recipe": "ocr", "seed": 0}):
        ...         run.write_json("result", {"epochs": 1})
        ...     run.read_json("settings"), run.read_json("result")
        ({'recipe': 'ocr', 'seed': 0}, {'epochs': 1})
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(os.path.abspath(folder))  # noqa: PTH100 - resolve() would follow a link that is to be renamed
        self.checkpoints = self.folder / "checkpoints"
        self.last = self.checkpoints / "last.ckpt"
        self.best = self.checkpoints / "best.ckpt"
        self.skipped = self.folder / "skipped.csv"
        self.lock: IO[str] | None = None

    @property
    def shown(self) -> Path:
        """The folder as one would type it: relative to the working directory, if it is in there."""
        here = Path.cwd()
        return self.folder.relative_to(here) if self.folder.is_relative_to(here) else self.folder

    @contextmanager
    def begin(self, settings: dict[str, Any], *, fresh: bool = False) -> Iterator[None]:
        """Start or resume the run, and lock its folder while the block lasts.

        Args:
            settings: plain values; a run is resumed only with the same ones.
            fresh: rename an earlier run to RUN.old-1 first.

        Raises:
            RunError: an earlier run in this folder had other settings, or the folder holds something else,
                cannot be written, or is being trained in.
        """
        try:
            if fresh:
                self._rename_earlier_run()
            self._refuse_other_files()
            if self.folder.is_dir():
                self._lock()
            self._refuse_other_settings(settings)
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            self._lock()
            for torn in [*self.folder.glob(".*.part"), *self.checkpoints.glob(".*.part")]:
                torn.unlink(missing_ok=True)
            if self.read_json("settings") is None:
                self.write_json("settings", settings)
        except OSError as problem:
            self._unlock()
            reason = problem.strerror or problem
            message = f"{self.folder}: cannot be written ({reason}); choose another folder with --out."
            raise StorageError(message, problem.errno) from None
        except RunError:
            self._unlock()
            raise
        try:
            yield
        finally:
            self._unlock()

    def _refuse_other_files(self) -> None:
        """Only a run or an empty folder is written into or renamed."""
        if os.path.lexists(self.folder) and not self.folder.is_dir():
            raise RunError(f"{self.folder}: expected a folder for the run, found a file; choose another with --out.")
        if (self.folder / "settings.json").exists() or not self.folder.is_dir():
            return
        if any(entry.name != LOCK for entry in self.folder.iterdir()):
            raise RunError(f"{self.folder}: contains files but no run; choose an empty folder with --out.")

    def _refuse_other_settings(self, settings: dict[str, Any]) -> None:
        found = self.read_json("settings")
        if found is None or found == settings:
            return
        names = [name for name in {**settings, **found} if found.get(name) != settings.get(name)]
        changes = "; ".join(
            f"{name.removesuffix(DIGEST)}: changed since the run began"
            if name.endswith(DIGEST)
            else f"{name} was {found.get(name)!r}, now {settings.get(name)!r}"
            for name in names
        )
        raise RunError(
            f"{self.folder}: contains a run with other settings ({changes}). Give the same settings to resume it, "
            "another folder with --out, or --fresh to rename it and start over."
        )

    def _rename_earlier_run(self) -> None:
        """Rename the folder to the first free RUN.old-K; nothing is deleted."""
        self._refuse_other_files()
        if not self.folder.exists():
            return
        self._lock()
        number = 1
        while os.path.lexists(target := self.folder.with_name(f"{self.folder.name}.old-{number}")):
            number += 1
        self.folder.rename(target)
        self._unlock()

    def _lock(self) -> None:
        """Lock out other processes. A record lock: it ends when this process dies, and no child inherits it."""
        if self.lock is not None or fcntl is None:
            return
        self.lock = (self.folder / LOCK).open("a+", encoding="utf-8")
        try:
            fcntl.lockf(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            self.lock.seek(0)
            holder = self.lock.read().strip() or "unknown"
            raise RunError(
                f"{self.folder}: another process (PID {holder}) is training in it; wait for it to end, or choose "
                "another folder with --out."
            ) from None
        except OSError:  # a file system without locks
            return
        self.lock.truncate(0)
        self.lock.write(f"{os.getpid()}\n")
        self.lock.flush()

    def _unlock(self) -> None:
        if self.lock is not None:
            self.lock.close()
        self.lock = None

    def read_json(self, name: str) -> dict[str, Any] | None:
        """RUN/name.json, or None if there is none."""
        path = self.folder / f"{name}.json"
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, RecursionError) as problem:
            raise RunError(f"{path}: cannot be read ({problem}); start over with --fresh.") from problem
        if not isinstance(values, dict):
            raise RunError(f"{path}: cannot be read (expected a JSON object); start over with --fresh.")
        return values

    def write_json(self, name: str, values: dict[str, Any]) -> None:
        """RUN/name.json."""
        write_atomically(self.folder / f"{name}.json", json.dumps(values, indent=2, ensure_ascii=False) + "\n")

    def best_weights(self) -> dict[str, torch.Tensor]:
        """The best epoch's weights, on the CPU.

        Raises:
            RunError: there is no finished epoch yet, or the checkpoint cannot be read.
        """
        if not self.best.exists() and self.last.exists():
            raise RunError(f"{self.best}: is missing, though the run has finished epochs; start over with --fresh.")
        if not self.best.exists():
            raise RunError(f"{self.folder}: has no finished epoch yet (no {self.best.name}); train it first.")
        return load_checkpoint(self.best)["state_dict"]
