"""RUN/findings.json: what the doctor found, before the first step and while the run was training.

Whatever examines or watches a run calls `RunFindings.add`. The file, TensorBoard's text and the section of the report
follow from that.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

from lightning.pytorch.callbacks import Callback

from seqloss.data.atomic_write import write_atomically
from seqloss.doctor.findings import Findings
from seqloss.errors import RunError
from seqloss.training.run import Run


def read_findings(run: Run) -> Findings | None:
    """What was found; None if the run was not examined.

    Raises:
        RunError: the file cannot be read.
    """
    file = run.folder / "findings.json"
    try:
        return Findings.from_json(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as problem:
        raise RunError(f"{file}: cannot be read ({problem}); start over with --fresh.") from problem


class RunFindings(Callback):
    """All findings of a run, written to RUN/findings.json and to TensorBoard.

    A resumed run keeps the findings up to the step from which it is resumed; a later one has evidence["step"].

    Args:
        run: its folder.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.findings: Findings | None = None
        self.shown: Findings | None = None

    def add(self, more: Findings) -> None:
        """Keep what was found. It is written when training starts, at the end of the epoch, and by `write`."""
        known = Findings() if self.findings is None else self.findings  # one without findings is falsy
        self.findings = known.joined(more)

    def write(self) -> None:
        """RUN/findings.json, at once."""
        if self.findings is not None:
            write_atomically(self.run.folder / "findings.json", self.findings.to_json() + "\n")

    def on_train_start(self, trainer: Any, module: Any) -> None:
        if self.findings is None and trainer.global_step and (known := read_findings(self.run)):
            found = [one for one in known if one.evidence.get("step", 0) <= trainer.global_step]
            self.findings = self.shown = replace(known, found=tuple(found))
        self._show(trainer)

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        self._show(trainer)

    def on_exception(self, trainer: Any, module: Any, exception: BaseException) -> None:
        if trainer.is_global_zero and self.findings != self.shown:
            with suppress(OSError):  # the exception itself is the one to be seen
                self.write()

    def _show(self, trainer: Any) -> None:
        if not trainer.is_global_zero or self.findings is None or self.findings == self.shown:
            return
        self.write()
        for logger in trainer.loggers:
            self.findings.to_tensorboard(logger.experiment, trainer.global_step)
        self.shown = self.findings
