"""What a report says about the doctor's findings, and of a run without any."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from seqloss.doctor.findings import Finding, Findings
from seqloss.errors import RunError
from seqloss.recipes import load_task
from seqloss.report.page import render_page
from seqloss.report.record import RunRecord, read_record
from seqloss.training.findings import RunFindings
from seqloss.training.run import Run

UNUSED = Finding(
    "weights-unused", "error", {"weights": ["layers[0].weight", "head.bias"], "of": 26},
    "the loss does not depend on these weights", "Call the layer, or remove it", "print(model)\n",
)  # fmt: skip
LATER = Finding("loss-jumps", "warning", {"step": 40, "times": 7.25}, "the loss is seven times larger", "Clip it")
LAWS = ("ledger", "mode")


@pytest.fixture
def record(trained) -> RunRecord:
    return read_record(load_task(trained[1]), Run(trained[1]))


def visible(html: str) -> str:
    """The text of a page in one line."""
    return " ".join(re.sub(r"<style>.*?</style>|<svg.*?</svg>|<[^>]+>", " ", html, flags=re.DOTALL).split())


def test_a_finding_is_shown_with_evidence_cause_fix_and_code(record: RunRecord) -> None:
    html = render_page(replace(record, findings=Findings((UNUSED, LATER), LAWS)))
    text = visible(html)
    assert "error weights-unused weights layers[0].weight, head.bias of 26" in text
    assert "The loss does not depend on these weights. Call the layer, or remove it. Python that shows it" in text
    assert "<pre>print(model)\n</pre>" in html
    assert "warning loss-jumps step 40 times 7.25 The loss is seven times larger. Clip it." in text
    assert html.count("<details>") == 1
    assert html.index("<h2>Findings</h2>") < html.index("<h2>Training curves</h2>")


def test_the_curves_of_a_finding_are_diagrams(record: RunRecord) -> None:
    rates = replace(LATER, curves={"learning rate": [0.1, 0.2, 0.1, 0.0], "loss": [3.0, float("nan"), 9.0]})
    html = render_page(replace(record, findings=Findings((UNUSED, rates), LAWS)))
    found = html.split("<h2>Findings</h2>")[1].split("</table>")[0]
    assert re.findall(r'aria-label="([^"]* over time)"', found) == ["learning rate over time", "loss over time"]


def test_without_findings_only_the_laws_are_listed(record: RunRecord) -> None:
    html = render_page(replace(record, findings=Findings((), LAWS, {"rows": "the first batch has one row"})))
    assert "<h2>Findings</h2>" not in html
    text = visible(html)
    assert "Checked: ledger, mode. Nothing was found." in text
    assert "rows the first batch has one row" in text
    assert "Nothing was found" not in visible(render_page(replace(record, findings=Findings((UNUSED,), LAWS))))


def test_a_run_that_was_not_examined_says_nothing_about_it(record: RunRecord) -> None:
    html = render_page(replace(record, findings=None))
    assert "<h2>Findings</h2>" not in html
    assert "Laws" not in visible(html)


def test_a_report_reads_what_the_run_kept(trained, tmp_path: Path) -> None:
    shutil.copytree(trained[1], tmp_path / "run")
    run = Run(tmp_path / "run")
    kept = RunFindings(run)
    kept.add(Findings((LATER,), LAWS))
    kept.add(Findings((UNUSED,)))
    kept.write()
    text = visible(render_page(read_record(load_task(run.folder), run)))
    assert text.index("weights-unused") < text.index("loss-jumps")
    (run.folder / "findings.json").unlink()
    assert "weights-unused" not in visible(render_page(read_record(load_task(run.folder), run)))


@pytest.mark.parametrize("text", ["[]", '{"findings": ', '{"findings": [{"name": "a"}], "checked": []}', "[" * 10**5])
def test_a_torn_file_of_findings_is_reported(trained, tmp_path: Path, text: str) -> None:
    shutil.copytree(trained[1], tmp_path / "run")
    (tmp_path / "run/findings.json").write_text(text)
    with pytest.raises(RunError, match=r"findings\.json: cannot be read .* start over with --fresh"):
        read_record(load_task(tmp_path / "run"), Run(tmp_path / "run"))
