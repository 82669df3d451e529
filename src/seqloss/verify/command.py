"""What `seqloss verify` does."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from hypothesis.configuration import set_hypothesis_home_dir
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from seqloss import errors
from seqloss.verify import outputs, page
from seqloss.verify.adapters import KNOWN
from seqloss.verify.implementation import Blank, Implementation, Lengths, Scores
from seqloss.verify.laws import LAWS
from seqloss.verify.report import Report, dumps
from seqloss.verify.run import FULL, QUICK, versions_of
from seqloss.verify.table import distances, show
from seqloss.verify.together import verify_all

DTYPES = ("float64", "float32", "float16", "bfloat16")


@dataclass(frozen=True)
class Promises:
    """What a person says of a function of his own; as in `Implementation`."""

    dtypes: tuple[str, ...] = ()
    blank: str = "any"
    lengths: str = "both"
    scores: str = "logits"
    few_shapes: bool = False
    without: tuple[str, ...] = ()

    def check(self) -> None:
        _one_of("--blank", self.blank, get_args(Blank))
        _one_of("--lengths", self.lengths, get_args(Lengths))
        _one_of("--log-probs", self.scores, get_args(Scores))
        for dtype in self.dtypes:
            _one_of("--dtype", dtype, DTYPES)
        for law in self.without:
            _one_of("--without", law, [law.name for law in LAWS])

    def implementation(self, source: str) -> Implementation:
        given: dict[str, Any] = {"blank": self.blank, "lengths": self.lengths, "scores": self.scores}
        if self.dtypes:
            given["dtypes"] = tuple(dtype for dtype in DTYPES if dtype in self.dtypes)
        unpromised = dict.fromkeys(self.without, "left out by --without")
        return Implementation(source, source, few_shapes=self.few_shapes, not_promised=unpromised, **given)


def _one_of(option: str, found: str, expected: Sequence[str]) -> None:
    if found not in expected:
        raise errors.OptionError(f"{option}: expected one of {', '.join(expected)}, found {found!r}.")


def implementations(names: Sequence[str], promises: Promises) -> list[Implementation]:
    """Known implementations by their names, others by where they are; all that are known if none is named.

    Raises:
        VerifyError: a name is neither.
        OptionError: a promise is none.
    """
    promises.check()
    found = []
    for name in names:
        if name in KNOWN:
            found.append(_without(KNOWN[name], promises.without))
        elif ":" in name:
            found.append(promises.implementation(name))
        else:
            raise errors.VerifyError(
                f"{name!r} is no known implementation (seqloss verify --list shows them) and no "
                "package.module:function or file.py:function."
            )
    return found or list(KNOWN.values())


def _without(implementation: Implementation, laws: Sequence[str]) -> Implementation:
    return replace(
        implementation, not_promised={**implementation.not_promised, **dict.fromkeys(laws, "left out by --without")}
    )


def list_known() -> None:
    """Names, and whether what they need is installed."""
    table = Table(title="known implementations", header_style="bold")
    for heading in ("name", "packages", "takes"):
        table.add_column(heading)
    for implementation in KNOWN.values():
        versions, missing = versions_of(implementation)
        packages = missing or ", ".join(f"{name} {version}" for name, version in versions.items())
        table.add_row(
            Text(implementation.name),
            Text(packages, "dim" if missing else ""),
            f"{implementation.scores}; {', '.join(implementation.dtypes)}",
        )
    _wide().print(table)


def run(
    chosen: Sequence[Implementation],
    err: Console,
    *,
    full: bool = False,
    seed: int = 0,
    limit: float | None = None,
    as_json: bool = False,
    html: Path | None = None,
) -> bool:
    """Verify, with a bar; tell it as a table or as JSON, and as a page. Whether all that were tried are right."""
    set_hypothesis_home_dir(tempfile.gettempdir())  # and not into the folder where somebody happens to be
    effort = replace(FULL if full else QUICK, seed=seed)
    effort = effort if limit is None else replace(effort, limit=limit)
    if not effort.limit > 0:
        raise errors.OptionError(f"--limit: expected seconds over 0, found {effort.limit:g}.")
    if html is not None and html.is_dir():
        raise errors.OptionError(f"--html: {html} is a folder; expected a file to write.")
    columns = (
        TextColumn("{task.description:30}", markup=False),
        BarColumn(30),
        TimeElapsedColumn(),
        TextColumn("{task.fields[words]}", markup=False),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        tasks = [
            bar.add_task(implementation.name, total=1.0, start=False, words="waiting") for implementation in chosen
        ]

        def told(place: int, words: str, share: float) -> None:
            bar.start_task(tasks[place])
            bar.update(tasks[place], completed=share, words=words, visible=share < 1.0 or len(tasks) < 8)

        reports = verify_all(chosen, effort, told)
    if as_json:
        print(dumps(reports))
    else:
        show(_wide(), reports)
    if html is not None:
        page.write(reports, html)
        err.print(f"wrote {html}", soft_wrap=True)
    _refuse_skipped(reports)
    return all(report.ok or report.skipped for report in reports)


def _refuse_skipped(reports: Sequence[Report]) -> None:
    """Whoever asks for implementations, none of which can be tried, has no answer."""
    if reports and all(report.skipped for report in reports):
        raise errors.VerifyError(f"nothing could be verified: {reports[0].name}: {reports[0].skipped}")


def hold_outputs(chosen: Sequence[Implementation], file: Path, err: Console, as_json: bool = False) -> bool:
    """Distances from the definition on a network's own outputs. Whether all answered, as the definition does."""
    given = outputs.read(file)
    reports = []
    with err.status("") as status:
        for implementation in chosen:
            status.update(f"{implementation.name} on {given.shape[0]} rows")
            try:
                reports.append(outputs.hold(implementation, given))
            except errors.VerifyError as problem:
                reports.append(Report(implementation.name, skipped=str(problem)))
    if as_json:
        print(dumps(reports))
    else:
        console = _wide()
        console.print(distances(reports))
        for line in outputs.told(reports):
            console.print(Text(line), soft_wrap=True)
        for report in reports:
            if report.skipped:
                console.print(Text(f"{report.name}: skipped, {report.skipped}", "dim"), soft_wrap=True)
    _refuse_skipped(reports)
    return all(not report.skipped and not any(x.apart for x in report.agreement) for report in reports)


def _wide() -> Console:
    """Standard output; where it is no terminal, tables are not folded to 80 columns."""
    console = Console(highlight=False)
    return (
        console if console.is_terminal else Console(highlight=False, width=max(120, int(os.environ.get("COLUMNS", 0))))
    )
