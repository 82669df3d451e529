"""The implementation of `seqloss verify`."""

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
from seqloss.verify import html_report, model_outputs
from seqloss.verify.adapters import KNOWN_IMPLEMENTATIONS
from seqloss.verify.effort import FULL, QUICK, Effort
from seqloss.verify.implementation import DTYPES, Blank, Implementation, Lengths, Scores
from seqloss.verify.installed_packages import package_versions
from seqloss.verify.laws import LAWS
from seqloss.verify.parallel import verify_all
from seqloss.verify.report import Report, dumps
from seqloss.verify.terminal_report import make_error_table, print_reports

WITHOUT = "excluded with --without"


@dataclass(frozen=True)
class Capabilities:
    """What the user's function supports, as options; see `Implementation`."""

    dtypes: tuple[str, ...] = ()
    blank: str = "any"
    lengths: str = "both"
    scores: str = "logits"
    few_shapes: bool = False
    without: tuple[str, ...] = ()
    zero_infinity: bool = False

    def check(self) -> None:
        """Raise an OptionError for an invalid value."""
        _check_choice("--blank", self.blank, get_args(Blank))
        _check_choice("--lengths", self.lengths, get_args(Lengths))
        _check_choice("--log-probs", self.scores, get_args(Scores))
        for dtype in self.dtypes:
            _check_choice("--dtype", dtype, DTYPES)
        for law in self.without:
            _check_choice("--without", law, [law.name for law in LAWS])

    def make_implementation(self, source: str) -> Implementation:
        """The implementation at a source, with these capabilities."""
        given: dict[str, Any] = {
            "blank": self.blank,
            "lengths": self.lengths,
            "scores": self.scores,
            "few_shapes": self.few_shapes,
            "zero_infinity": self.zero_infinity,
        }
        if self.dtypes:
            given["dtypes"] = tuple(dtype for dtype in DTYPES if dtype in self.dtypes)
        unsupported = dict.fromkeys(self.without, WITHOUT)
        return Implementation(source, source, unsupported=unsupported, **given)


def _check_choice(option: str, found: str, expected: Sequence[str]) -> None:
    if found not in expected:
        raise errors.unknown_choice(option, found, expected)


def select_implementations(names: Sequence[str], capabilities: Capabilities) -> list[Implementation]:
    """The implementations to verify.

    Args:
        names: names of known implementations, or sources of functions; none for all known implementations.
        capabilities: of functions given by their source.

    Returns:
        the implementations, in this order.

    Raises:
        VerifyError: a name is neither.
        OptionError: a capability has an invalid value.
    """
    capabilities.check()
    found = []
    for name in names:
        if name in KNOWN_IMPLEMENTATIONS:
            found.append(_exclude_laws(KNOWN_IMPLEMENTATIONS[name], capabilities.without))
        elif ":" in name:
            found.append(capabilities.make_implementation(name))
        else:
            raise errors.VerifyError(
                f"{name!r} is not a known implementation (list them with: seqloss verify --list), and not of the form "
                "package.module:function or file.py:function."
            )
    return found or list(KNOWN_IMPLEMENTATIONS.values())


def _exclude_laws(implementation: Implementation, laws: Sequence[str]) -> Implementation:
    return replace(implementation, unsupported={**implementation.unsupported, **dict.fromkeys(laws, WITHOUT)})


def print_known_implementations() -> None:
    """Print names, installed versions and supported types; then the laws with their severity."""
    table = Table(title="known implementations", header_style="bold")
    for heading in ("name", "packages", "input"):
        table.add_column(heading)
    for implementation in KNOWN_IMPLEMENTATIONS.values():
        versions, missing = package_versions(implementation)
        packages = missing or ", ".join(f"{name} {version}" for name, version in versions.items())
        table.add_row(
            Text(implementation.name),
            Text(packages, "dim" if missing else ""),
            f"{implementation.scores}; {', '.join(implementation.dtypes)}",
        )
    _stdout_console().print(table)
    _stdout_console().print(_make_table_of_laws())


def _make_table_of_laws() -> Table:
    """The severity is that of an exception or NaN; a law can find the other one too, see `severity`."""
    table = Table(title="laws", header_style="bold")
    for heading in ("law", "usually", "property"):
        table.add_column(heading)
    for law in LAWS:
        table.add_row(law.name, law.severity, Text(law.statement))
    return table


def verify_implementations(
    chosen: Sequence[Implementation],
    err: Console,
    *,
    full: bool = False,
    seed: int = 0,
    limit: float | None = None,
    as_json: bool = False,
    html: Path | None = None,
    strict: bool = False,
) -> bool:
    """Verify implementations with a progress bar, and print the reports.

    Args:
        chosen: the implementations.
        err: console for progress.
        full: include large sizes.
        seed: of the random search.
        limit: seconds per call; None for the default.
        as_json: print JSON instead of tables.
        html: also write an HTML report.
        strict: whether careless violations count.

    Returns:
        whether no result of the implementations that could be verified is wrong, or with `strict` careless.
    """
    set_hypothesis_home_dir(tempfile.gettempdir())  # not the current folder
    effort = _make_effort(full, seed, limit)
    if html is not None and html.is_dir():
        raise errors.OptionError(f"--html: {html} is a folder; expected a file to write.")
    reports = _verify_with_progress(chosen, effort, err)
    if as_json:
        print(dumps(reports))
    else:
        print_reports(_stdout_console(), reports)
    if html is not None:
        html_report.write_html(reports, html)
        err.print(f"wrote {html}", soft_wrap=True)
    _raise_if_all_skipped(reports)
    return all(report.skipped or (report.strictly_ok if strict else report.ok) for report in reports)


def _make_effort(full: bool, seed: int, limit: float | None) -> Effort:
    effort = replace(FULL if full else QUICK, seed=seed)
    effort = effort if limit is None else replace(effort, limit=limit)
    if not effort.limit > 0:
        raise errors.OptionError(f"--limit: expected seconds over 0, found {effort.limit:g}.")
    return effort


def _verify_with_progress(chosen: Sequence[Implementation], effort: Effort, err: Console) -> list[Report]:
    columns = (
        TextColumn("{task.description:30}", markup=False),
        BarColumn(30),
        TimeElapsedColumn(),
        TextColumn("{task.fields[check]}", markup=False),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        tasks = [
            bar.add_task(implementation.name, total=1.0, start=False, check="waiting") for implementation in chosen
        ]

        def report_progress(index: int, check: str, fraction: float) -> None:
            bar.start_task(tasks[index])
            bar.update(tasks[index], completed=fraction, check=check, visible=fraction < 1.0 or len(tasks) < 8)

        return verify_all(chosen, effort, report_progress)


def _raise_if_all_skipped(reports: Sequence[Report]) -> None:
    if reports and all(report.skipped for report in reports):
        raise errors.VerifyError(f"nothing could be verified: {reports[0].name}: {reports[0].skipped}")


def evaluate_outputs(chosen: Sequence[Implementation], file: Path, err: Console, as_json: bool = False) -> bool:
    """Measure and print the numerical error of implementations on the outputs of a model.

    Args:
        chosen: the implementations.
        file: see `model_outputs.read_model_outputs`.
        err: console for progress.
        as_json: print JSON instead of a table.

    Returns:
        whether no implementation was skipped, and no row has an error larger than rounding explains.
    """
    given = model_outputs.read_model_outputs(file)
    reports = []
    with err.status("") as status:
        for implementation in chosen:
            status.update(f"{implementation.name} on {given.shape[0]} rows")
            try:
                reports.append(model_outputs.evaluate_implementation(implementation, given))
            except errors.VerifyError as problem:
                reports.append(Report(implementation.name, skipped=str(problem)))
    if as_json:
        print(dumps(reports))
    else:
        _print_numerical_errors(reports)
    _raise_if_all_skipped(reports)
    return all(not report.skipped and not any(x.inaccurate for x in report.numerical_errors) for report in reports)


def _print_numerical_errors(reports: Sequence[Report]) -> None:
    console = _stdout_console()
    console.print(make_error_table(reports))
    for line in model_outputs.describe_errors(reports):
        console.print(Text(line), soft_wrap=True)
    for report in reports:
        if report.skipped:
            console.print(Text(f"{report.name}: skipped, {report.skipped}", "dim"), soft_wrap=True)


def _stdout_console() -> Console:
    """Standard output; outside a terminal, at least 120 columns wide."""
    console = Console(highlight=False)
    if console.is_terminal:
        return console
    return Console(highlight=False, width=max(120, int(os.environ.get("COLUMNS", 0))))
