"""Write docs/explanations/peers.md: the results of each known implementation for the named cases and the laws.

    python benchmarks/peers.py [--limit 300] [name ...]

Everything that is installed is verified as by `seqloss verify`, with the large sizes.
"""

from __future__ import annotations

import argparse
import datetime
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from machine import machine
from rich.console import Console
from rich.progress import Progress

from seqloss.verify import Effort, Report
from seqloss.verify.adapters import KNOWN_IMPLEMENTATIONS
from seqloss.verify.cases import CASES
from seqloss.verify.html_report import SIGNS
from seqloss.verify.laws import LAWS
from seqloss.verify.parallel import verify_all

PAGE = Path(__file__).resolve().parent.parent / "docs" / "explanations" / "peers.md"

TITLE = "# Results of known CTC implementations\n"
INTRODUCTION = (
    "Every known implementation of CTC that was installed was verified with the named cases and the laws of "
    "`seqloss verify`. `seqloss verify NAME` shows for one of them what fails, the likely cause, and a script that "
    "reproduces it: see [Verify a CTC implementation](verify.md)."
)
MADE = "Made by `python benchmarks/peers.py` on {day}: {machine}."
WIDTH = 120
"""Of the page's lines."""


def page(reports: Sequence[Report], day: str, on: dict[str, str]) -> str:
    tried = [report for report in reports if not report.skipped]
    machine_text = ", ".join(f"{name} {value}" for name, value in on.items())
    peers = [report for report in tried if not report.name.startswith("seqloss")]
    parts = [
        TITLE,
        wrapped(INTRODUCTION) + "\n",
        wrapped(MADE.format(day=day, machine=machine_text)) + "\n",
        "## Named cases\n\nLosses in nats, row by row. Wrong results are bold. seqloss returns the exact results.\n",
        "\n".join(case_table(peers)),
        "\n## Laws\n\n✓ holds, ✗ wrong, ! careless, · not supported.\n",
        "\n".join(law_table(tried)),
        "\n" + "\n".join(f"{number}. {named(report)}" for number, report in enumerate(tried, 1)),
        "\n## Statements of the laws\n",
        "\n".join(f"* `{law.name}`: {law.statement}" for law in LAWS),
        "\n## Numerical error\n\nAgainst the float64 reference, over 32 random utterances. Losses are in nats.\n",
        "\n".join(error_table(tried)),
    ]
    skipped = [report for report in reports if report.skipped]
    if skipped:
        reasons = "; ".join(f"{report.name} ({report.skipped})" for report in skipped)
        parts.append("\n" + wrapped(f"Not tested: {reasons}."))
    return "\n".join(parts) + "\n"


def wrapped(words: str) -> str:
    return textwrap.fill(words, WIDTH, break_long_words=False, break_on_hyphens=False)


def named(report: Report) -> str:
    versions = ", ".join(f"{name} {value}" for name, value in report.versions.items())
    return f"**{report.name}** ({versions})" if versions else f"**{report.name}**"


def case_table(peers: Sequence[Report]) -> Iterator[str]:
    """A row per case, a column per implementation."""
    answers = [{case.case: case for case in report.cases} for report in peers]
    yield "| case | from | exact | " + " | ".join(report.name for report in peers) + " |"
    yield "| --- " * (3 + len(peers)) + "|"
    for case in CASES:
        found = [by_case.get(case.name) for by_case in answers]
        exact = next((answer.exact for answer in found if answer), "")
        if not exact:
            continue
        cells = ["" if a is None else a.found if a.right else f"**{a.found}**" for a in found]
        yield f"| {case.name} | {case.thread} | {exact} | " + " | ".join(cells) + " |"


def law_table(tried: Sequence[Report]) -> Iterator[str]:
    """A row per law, a column per implementation."""
    outcomes = [{result.law: result for result in report.results} for report in tried]
    yield "| law | " + " | ".join(str(number) for number in range(1, len(tried) + 1)) + " |"
    yield "| --- " * (1 + len(tried)) + "|"
    for law in LAWS:
        signs = [SIGNS[by_law[law.name].outcome] if law.name in by_law else "" for by_law in outcomes]
        yield f"| {law.name} | " + " | ".join(signs) + " |"


def error_table(tried: Sequence[Report]) -> Iterator[str]:
    yield "| implementation | scores | loss: mean | deviation | worst | relative: worst | gradient: worst |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for report in tried:
        for x in report.numerical_errors:
            gradient = "" if x.gradient_worst is None else f"{x.gradient_worst:.1e}"
            yield (
                f"| {report.name} | {x.dtype} | {x.mean:.1e} | {x.deviation:.1e} | {x.worst:.1e} | "
                f"{x.relative_worst:.1e} | {gradient} |"
            )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--limit", type=float, default=300.0)
    options.add_argument("names", nargs="*", default=list(KNOWN_IMPLEMENTATIONS))
    arguments = options.parse_args()
    chosen = [KNOWN_IMPLEMENTATIONS[name] for name in arguments.names]
    with Progress(console=Console(stderr=True), transient=True) as bar:
        tasks = [bar.add_task(implementation.name, total=1.0) for implementation in chosen]

        def report_progress(index: int, check: str, fraction: float) -> None:
            bar.update(tasks[index], completed=fraction, description=f"{chosen[index].name}: {check}")

        reports = verify_all(chosen, Effort(full=True, limit=arguments.limit), report_progress)
    text = page(reports, datetime.date.today().isoformat(), machine("numpy"))
    part = PAGE.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    part.replace(PAGE)
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
