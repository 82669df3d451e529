"""Print reports on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from seqloss.verify.laws import LAWS
from seqloss.verify.report import EDGE_CASES, HOLDS, NOT_SUPPORTED, SKIPPED, LawResult, Outcome, Report
from seqloss.verify.severity import CARELESS, WRONG

SIGNS: dict[Outcome, tuple[str, str]] = {
    HOLDS: ("+", "green"),
    WRONG: ("X", "bold red"),
    CARELESS: ("!", "yellow"),
    NOT_SUPPORTED: ("·", "dim"),
    SKIPPED: (" ", "dim"),
}
LEGEND = "+ holds   X wrong   ! careless (a remark)   · not supported   (empty) skipped (use --full)"

MAX_NAMED_COLUMNS = 4
"""With more implementations, the columns are headed by numbers."""


def print_reports(console: Console, reports: Sequence[Report]) -> None:
    """Print the table of laws, then the details of each implementation."""
    verified = [report for report in reports if not report.skipped]
    if verified:
        console.print(make_law_table(verified))
        console.print(Text(LEGEND, "dim"))
    if len(verified) > MAX_NAMED_COLUMNS:
        for number, report in enumerate(verified, 1):
            console.print(f"{number:3}  {escape(_name_with_versions(report))}", highlight=False)
    for report in reports:
        if report.skipped:
            console.print(Text(f"{report.name}: skipped, {report.skipped}", "dim"), soft_wrap=True)
    for report in verified:
        console.print()
        for paragraph in describe_report(report):
            console.print(paragraph, soft_wrap=isinstance(paragraph, Syntax))


def make_law_table(reports: Sequence[Report]) -> Table:
    """A row per law, a column per implementation."""
    table = Table(title="CTC laws", header_style="bold", pad_edge=False)
    table.add_column("law", no_wrap=True)
    for number, report in enumerate(reports, 1):
        table.add_column(Text(report.name if len(reports) <= MAX_NAMED_COLUMNS else str(number)), justify="center")
    results = [{result.law: result for result in report.results} for report in reports]
    for law in LAWS:
        signs = [SIGNS[by_law[law.name].outcome] if law.name in by_law else (" ", "") for by_law in results]
        table.add_row(law.name, *(Text(sign, style) for sign, style in signs))
    return table


def describe_report(report: Report) -> Iterator[RenderableType]:
    """Summary, likely cause, the first wrong result with its script, the others, remarks, and the numerical errors.

    A wrong result for ordinary input usually explains what comes after it: only names are printed then.
    """
    if report.strictly_ok:
        yield Text.assemble((str(report), "green"))
    else:
        style = "bold red" if report.wrong else "yellow"
        yield Text.assemble((f"{_name_with_versions(report)}: ", "bold"), (report.summary, style))
    core = bool(report.wrong) and report.wrong[0].law not in EDGE_CASES
    if report.wrong:
        yield from _describe_wrong(report, core)
    yield from _describe_remarks(report, core)
    if report.numerical_errors and not core:
        yield make_error_table([report])


def _describe_wrong(report: Report, core: bool) -> Iterator[RenderableType]:
    first, *others = report.wrong
    assert first.finding is not None
    if report.cause:
        yield Text.assemble(("likely cause: ", "bold"), report.cause)
    yield Text()
    yield _describe_violation(first)
    yield Text("Script to reproduce it:\n")
    yield Syntax(first.finding.script, "python", theme="ansi_dark", background_color="default", word_wrap=False)
    yield Text()
    if core and others:
        yield _list_laws("also violated, usually by the same cause: ", others)
    for result in () if core else others:
        yield _describe_violation(result, with_cause=True)


def _describe_remarks(report: Report, core: bool) -> Iterator[RenderableType]:
    """What is careless; the exit code does not depend on it, except with --strict."""
    if core and report.remarks:
        yield _list_laws("remarks: ", report.remarks)
        return
    for result in report.remarks:
        yield Text.assemble(("remark, ", "yellow"), _describe_violation(result, with_cause=True))


def _list_laws(heading: str, results: Sequence[LawResult]) -> Text:
    return Text.assemble((heading, "bold"), ", ".join(result.law for result in results))


def _describe_violation(result: LawResult, with_cause: bool = False) -> Text:
    finding = result.finding
    assert finding is not None
    case = f" [{finding.case}]" if finding.case else ""
    return Text.assemble(
        (f"{result.law}{case}: ", "bold"),
        f"expected {finding.expected}, found ",
        (finding.found, "red"),
        f"; {finding.reason}.",
        (f" Usual cause: {finding.cause}." if with_cause and finding.cause else "", "dim"),
    )


def _name_with_versions(report: Report) -> str:
    versions = ", ".join(f"{package} {version}" for package, version in report.versions.items())
    return f"{report.name} ({versions})" if versions else report.name


def make_error_table(reports: Sequence[Report]) -> Table:
    """The numerical errors: a row per implementation and type of logits."""
    table = Table(title="Error against the float64 reference, in nats", header_style="bold")
    table.add_column("implementation")
    for name in ("type", "rows", "mean", "std", "worst", "relative", "std", "worst", "gradient, worst"):
        table.add_column(name, justify="right")
    for report in reports:
        for x in report.numerical_errors:
            figures = (x.mean, x.deviation, x.worst, x.relative_mean, x.relative_deviation, x.relative_worst)
            worst = "" if x.gradient_worst is None else f"{x.gradient_worst:.2g}"
            label = Text(_name_with_versions(report))
            table.add_row(label, x.dtype, str(x.rows), *(f"{figure:.2g}" for figure in figures), worst)
    return table
