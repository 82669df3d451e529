"""Every training is watched: what goes wrong while it runs is named at the end of the epoch.

The weights that a run ends with are the same with and without.
"""

from __future__ import annotations

from typing import Any

from seqloss.doctor.findings import Finding, Findings
from seqloss.doctor.lightning import WatchTraining
from seqloss.training.examination import describe_findings
from seqloss.training.findings import RunFindings
from seqloss.training.task import PrintLine, Task


class WatchRun(WatchTraining):
    """Watches the network of a task.

    Args:
        task: of the run; its network is the module's attribute `network`.
        findings: of the run; what is found is added to them.
        print_line: called with each line of text.
    """

    def __init__(self, task: Task, findings: RunFindings, print_line: PrintLine) -> None:
        super().__init__("network", blank=task.blank, on_finding=self._keep)
        self.run_findings, self.print_line = findings, print_line
        self.new: list[Finding] = []

    def _keep(self, finding: Finding) -> None:
        self.new.append(finding)
        self.run_findings.add(Findings((finding,)))

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        self._print()

    def on_exception(self, trainer: Any, module: Any, exception: BaseException) -> None:
        super().on_exception(trainer, module, exception)
        self._print()

    def _print(self) -> None:
        """A line would tear the bar of an epoch that runs."""
        for line in describe_findings(Findings(tuple(self.new))) if self.new else ():
            self.print_line(f"    {line}")
        self.new = []
