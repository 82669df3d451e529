"""Reports on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from seqloss.verify.laws import LAWS
from seqloss.verify.report import BREAKS, HOLDS, NOT_PROMISED, NOT_TRIED, Report, Result

SIGNS = {HOLDS: ("+", "green"), BREAKS: ("X", "bold red"), NOT_PROMISED: ("·", "dim"), NOT_TRIED: (" ", "dim")}
LEGEND = "+ holds   X breaks   · not promised   (blank) not tried: takes longer than a quick look"
CORE = {law.name for law in LAWS[: [law.name for law in LAWS].index("closed-scores")]}
"""Laws about ordinary problems; the rest are about what is unusual."""

NAMED = 4
"""With more implementations than this, the columns are headed by numbers."""


def show(console: Console, reports: Sequence[Report]) -> None:
    """The table of laws; then, for each implementation that breaks one, what to know about it."""
    tried = [report for report in reports if not report.skipped]
    if tried:
        console.print(matrix(tried))
        console.print(Text(LEGEND, "dim"))
    if len(tried) > NAMED:
        for number, report in enumerate(tried, 1):
            console.print(f"{number:3}  {escape(_named(report))}", highlight=False)
    for report in reports:
        if report.skipped:
            console.print(Text(f"{report.name}: skipped, {report.skipped}", "dim"), soft_wrap=True)
    for report in tried:
        console.print()
        for part in details(report):
            console.print(part, soft_wrap=isinstance(part, Syntax))


def matrix(reports: Sequence[Report]) -> Table:
    """Laws down, implementations across."""
    table = Table(title="CTC against its laws", header_style="bold", pad_edge=False)
    table.add_column("law", no_wrap=True)
    for number, report in enumerate(reports, 1):
        table.add_column(Text(report.name if len(reports) <= NAMED else str(number)), justify="center")
    outcomes = [{result.law: result for result in report.results} for report in reports]
    for law in LAWS:
        signs = [SIGNS[by_law[law.name].status] if law.name in by_law else (" ", "") for by_law in outcomes]
        table.add_row(law.name, *(Text(sign, style) for sign, style in signs))
    return table


def details(report: Report) -> Iterator[RenderableType]:
    """A verdict, the likely cause, the first broken law with lines that reproduce it, then the others; distances.

    Where ordinary problems are answered wrongly, the laws after the first are named alone: they break by the same.
    """
    if report.ok:
        yield Text.assemble((str(report), "green"))
    else:
        yield Text.assemble((f"{_named(report)}: ", "bold"), (f"breaks {_laws(len(report.broken))}", "bold red"))
    if report.cause:
        yield Text.assemble(("likely cause: ", "bold"), report.cause)
    first, others = report.first, report.broken[1:]
    if first is not None:
        yield Text()
        yield _told(first)
        assert first.finding is not None
        yield Text("Run this to see it:\n")
        yield Syntax(first.finding.script, "python", theme="ansi_dark", background_color="default", word_wrap=False)
        yield Text()
    if first is not None and first.law in CORE and others:
        yield Text.assemble(("also broken, as a rule by the same: ", "bold"), ", ".join(law.law for law in others))
    else:
        for result in others:
            assert result.finding is not None
            usual = f" Usually: {result.finding.cause}." if result.finding.cause else ""
            yield Text.assemble(_told(result), (usual, "dim"))
    for figure in report.agreement if first is None or first.law not in CORE else ():
        yield Text(
            f"distance from the definition, {figure.dtype}, {figure.utterances} random utterances, in nats: "
            f"mean {figure.mean:.2g}, deviation {figure.deviation:.2g}, worst {figure.worst:.2g}; "
            f"relative: mean {figure.relative_mean:.2g}, deviation {figure.relative_deviation:.2g}, "
            f"worst {figure.relative_worst:.2g}"
            + ("" if figure.gradient_worst is None else f"; gradient: worst {figure.gradient_worst:.2g}"),
            "dim",
        )


def _told(result: Result) -> Text:
    finding = result.finding
    assert finding is not None
    case = f" [{finding.case}]" if finding.case else ""
    return Text.assemble(
        (f"{result.law}{case}: ", "bold"),
        f"expected {finding.expected}, found ",
        (finding.found, "red"),
        f"; {finding.why}.",
    )


def _laws(count: int) -> str:
    return f"{count} law" + "s" * (count != 1)


def _named(report: Report) -> str:
    versions = ", ".join(f"{package} {version}" for package, version in report.versions.items())
    return f"{report.name} ({versions})" if versions else report.name


def distances(reports: Sequence[Report]) -> Table:
    """How far from the definition each implementation is, a row a type of scores."""
    table = Table(title="Distance from the definition", header_style="bold")
    table.add_column("implementation")
    for name in ("scores", "rows", "mean", "deviation", "worst", "relative", "deviation", "worst", "gradient, worst"):
        table.add_column(name, justify="right")
    for report in reports:
        for x in report.agreement:
            figures = (x.mean, x.deviation, x.worst, x.relative_mean, x.relative_deviation, x.relative_worst)
            worst = "" if x.gradient_worst is None else f"{x.gradient_worst:.2g}"
            table.add_row(
                Text(_named(report)), x.dtype, str(x.utterances), *(f"{figure:.2g}" for figure in figures), worst
            )
    return table
