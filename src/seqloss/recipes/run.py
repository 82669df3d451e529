"""The folder that a run lives in, so that a run can be killed at any moment and started again.

    RUN/settings.json          what the run was asked for; the same again resumes it, anything else is refused
    RUN/vocabulary.json        the characters, in the order of their classes
    RUN/skipped.csv            rows left out by --skip-bad
    RUN/checkpoints/last.ckpt  after each epoch, with all that resuming needs
    RUN/checkpoints/best.ckpt  the epoch that read the validation pictures best
    RUN/logs/                  TensorBoard
    RUN/result.json            written at the end
    RUN/.lock                  held by the process that trains; one that dies lets go of it

Every file is written aside, then renamed: it is the old one or the whole new one.
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
from seqloss.errors import RunError
from seqloss.recipes.checkpoints import load

try:
    import fcntl
except ImportError:  # Windows: nobody keeps a second process out
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"

DIGESTS = {
    "data_digest": "the data are not those that it began with",
    "vocabulary_digest": "vocabulary.json is not the one that it began with",
}
"""How a changed digest is told: its digits say nothing to a person."""


class Run:
    """A run's folder.

    Args:
        folder: where the run lives, or is to live.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(os.path.abspath(folder))  # noqa: PTH100 - resolve() would follow a link to be set aside
        self.checkpoints = self.folder / "checkpoints"
        self.last = self.checkpoints / "last.ckpt"
        self.best = self.checkpoints / "best.ckpt"
        self.vocabulary = self.folder / "vocabulary.json"
        self.skipped = self.folder / "skipped.csv"
        self.lock: IO[str] | None = None

    @contextmanager
    def begun(self, settings: dict[str, Any], *, fresh: bool = False) -> Iterator[None]:
        """A run started, or taken up again, and held against other processes while the block lasts.

        Args:
            settings: plain values; a run is resumed only with the same ones.
            fresh: set an earlier run aside.

        Raises:
            RunError: an earlier run in this folder had other settings, or the folder holds something else,
                cannot be written, or is being trained in.
        """
        try:
            if fresh:
                self._set_aside()
            self._refuse_foreign()
            if self.folder.is_dir():
                self._hold()
            self._compare(settings)
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            self._hold()
            for torn in [*self.folder.glob(".*.part"), *self.checkpoints.glob(".*.part")]:
                torn.unlink(missing_ok=True)
            if self.read("settings") is None:
                self.write("settings", settings)
        except OSError as problem:
            self._let_go()
            reason = problem.strerror or problem
            raise RunError(f"{self.folder}: cannot be written ({reason}); choose another folder with --out.") from None
        except RunError:
            self._let_go()
            raise
        try:
            yield
        finally:
            self._let_go()

    def _refuse_foreign(self) -> None:
        """Nothing is written into, and nothing set aside, but a run or an empty folder."""
        if os.path.lexists(self.folder) and not self.folder.is_dir():
            raise RunError(f"{self.folder}: expected a folder for the run, found a file; choose another with --out.")
        if (self.folder / "settings.json").exists() or not self.folder.is_dir():
            return
        if any(entry.name != LOCK for entry in self.folder.iterdir()):
            raise RunError(f"{self.folder}: holds files but no run; choose an empty folder with --out.")

    def _compare(self, settings: dict[str, Any]) -> None:
        found = self.read("settings")
        if found is None or found == settings:
            return
        names = [name for name in {**settings, **found} if found.get(name) != settings.get(name)]
        changes = "; ".join(
            DIGESTS.get(name) or f"{name} was {found.get(name)!r}, now {settings.get(name)!r}" for name in names
        )
        raise RunError(
            f"{self.folder}: holds a run with other settings ({changes}). Give the same settings to resume it, "
            "another folder with --out, or --fresh to set it aside and start anew."
        )

    def _set_aside(self) -> None:
        """Rename the folder to the first free RUN.old-K: nothing is lost."""
        self._refuse_foreign()
        if not self.folder.exists():
            return
        self._hold()
        number = 1
        while os.path.lexists(target := self.folder.with_name(f"{self.folder.name}.old-{number}")):
            number += 1
        self.folder.rename(target)
        self._let_go()

    def _hold(self) -> None:
        """Keep other processes out. A record lock: the system drops it when this process dies, and no child has it."""
        if self.lock is not None or fcntl is None:
            return
        self.lock = (self.folder / LOCK).open("a+", encoding="utf-8")
        try:
            fcntl.lockf(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            self.lock.seek(0)
            holder = self.lock.read().strip() or "unknown"
            raise RunError(
                f"{self.folder}: another process (number {holder}) is training in it; wait for its end, or choose "
                "another folder with --out."
            ) from None
        except OSError:  # a file system without locks
            return
        self.lock.truncate(0)
        self.lock.write(f"{os.getpid()}\n")
        self.lock.flush()

    def _let_go(self) -> None:
        if self.lock is not None:
            self.lock.close()
        self.lock = None

    def read(self, name: str) -> dict[str, Any] | None:
        """RUN/name.json, or None if it is not there."""
        path = self.folder / f"{name}.json"
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, RecursionError) as problem:
            raise RunError(f"{path}: cannot be read ({problem}); start anew with --fresh.") from problem
        if not isinstance(values, dict):
            raise RunError(f"{path}: cannot be read (expected a JSON object); start anew with --fresh.")
        return values

    def write(self, name: str, values: dict[str, Any]) -> None:
        """RUN/name.json."""
        write_atomically(self.folder / f"{name}.json", json.dumps(values, indent=2, ensure_ascii=False) + "\n")

    def weights(self) -> dict[str, torch.Tensor]:
        """The best epoch's weights, on the CPU.

        Raises:
            RunError: there is no finished epoch yet, or the checkpoint cannot be read.
        """
        if not self.best.exists() and self.last.exists():
            raise RunError(f"{self.best}: is missing, though the run has finished epochs; start anew with --fresh.")
        if not self.best.exists():
            raise RunError(f"{self.folder}: has no finished epoch yet (no {self.best.name}); train it first.")
        return load(self.best)["state_dict"]
