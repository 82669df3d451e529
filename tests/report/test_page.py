"""RUN/report.html: what a person sees of a run."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from seqloss import report
from seqloss.doctor.findings import Finding, Findings
from seqloss.errors import RunError
from seqloss.recipes import load_task
from seqloss.recipes.recognition import report_sections
from seqloss.recipes.recognition.report_drawing import choose_classes
from seqloss.recipes.recognition.report_items import Items, ShownItem, read_items
from seqloss.report.page import render_page
from seqloss.report.record import RunRecord, read_record, share_of_clipped_steps
from seqloss.report.sections.gradient_flow import draw_gradient_flow
from seqloss.training.run import Run

EVIL = '<script>document.title = "run"</script><img src=x onerror="document.title = 1">'
BROWSER = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), "")


def write_report(folder: Path, file: Path | None = None) -> Path:
    return report.write_report(load_task(folder), Run(folder), file)


@pytest.fixture(scope="module")
def page(trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a finished run."""
    return write_report(trained[1], tmp_path_factory.mktemp("report") / "report.html")


def test_the_report_is_one_file_that_loads_nothing(page: Path) -> None:
    html = page.read_text()
    assert html.rstrip().endswith("</html>")
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", html.replace("xlink:", ""))
    assert "<script" not in html


def test_it_shows_curves_layers_items_epochs_and_settings(page: Path) -> None:
    html = page.read_text()
    assert html.count("<svg ") == 6 + 1 + 2  # curves, layers, the two validation images
    for words in ("layers.0.0", "target", "Epochs", "batch", "torch", "share of blank frames"):
        assert words in html, words
    assert len(re.findall(r"<tr><td>\d+</td>", html)) == 2


def test_ids_are_unique_in_the_page(page: Path) -> None:
    ids = re.findall(r'\bid="([^"]+)"', page.read_text())
    clips = [name for name in ids if name.startswith("p") and len(name) == 11]
    assert clips
    assert len(set(clips)) == len(clips)


def evil(run: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[RunRecord, Items]:
    """What a run's report shows, with all of its texts made to attack it."""
    record = read_record(load_task(run), Run(run))
    items = read_items(record, record.task)
    shown = [replace(item, target=EVIL, text=EVIL[::-1]) for item in items.shown]
    items = replace(items, shown=shown, errors=[(1.0, EVIL, EVIL)], confusions=[(EVIL, EVIL, 1)])
    monkeypatch.setattr(report_sections, "read_items", lambda record, task: items)
    monkeypatch.setattr(report_sections, "symbols_of", lambda task: [EVIL] * len(task.vocabulary))
    found = Finding("found" + EVIL, "error", {EVIL: ["layers[0]", EVIL]}, EVIL, EVIL, f"print({EVIL!r})\n" * 3)
    findings = Findings((found, replace(found, severity="warning")), (EVIL,), {EVIL: EVIL})
    return replace(record, name=EVIL, settings=[(EVIL, EVIL)], findings=findings), items


def test_texts_are_shown_as_texts(trained, monkeypatch: pytest.MonkeyPatch) -> None:
    html = render_page(evil(trained[1], monkeypatch)[0])
    assert EVIL not in html
    assert "<script" not in html
    assert "<img" not in html
    assert html.count("&lt;script&gt;") >= 24  # in the title, findings, settings, items, errors, confusions, diagrams


def test_a_run_that_is_not_finished_has_a_report_too(trained, tmp_path: Path) -> None:
    shutil.copytree(trained[1], tmp_path / "run")
    (tmp_path / "run" / "result.json").unlink()
    assert "Unfinished run" in write_report(tmp_path / "run").read_text()


def test_a_run_from_before_there_was_a_history_has_a_report_too(trained, tmp_path: Path) -> None:
    shutil.copytree(trained[1], tmp_path / "run")
    (tmp_path / "run" / "history.json").unlink()
    assert "Predictions" in write_report(tmp_path / "run").read_text()


def test_a_run_whose_images_are_gone_still_shows_its_curves(trained, tmp_path: Path) -> None:
    shutil.copytree(trained[1], tmp_path / "run")
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())
    (tmp_path / "run" / "settings.json").write_text(json.dumps({**settings, "data": str(tmp_path / "moved")}))
    html = write_report(tmp_path / "run").read_text()
    assert "No predictions: " in html
    assert html.count("<svg ") == 6 + 1


def test_a_run_that_has_only_begun_shows_its_curves(trained, tmp_path: Path) -> None:
    shutil.copytree(trained[1], tmp_path / "run")
    for name in ("result.json", "checkpoints/best.ckpt", "checkpoints/last.ckpt"):
        (tmp_path / "run" / name).unlink()
    history = json.loads((tmp_path / "run" / "history.json").read_text())
    (tmp_path / "run" / "history.json").write_text(
        json.dumps({**history, "epochs": [], "points": history["points"][:2]})
    )
    html = write_report(tmp_path / "run").read_text()
    assert "has no finished epoch yet" in html
    assert "0 epochs" in html.replace("\n", " ")
    assert html.count("<svg ") == 5 + 1


def test_data_that_have_changed_since_are_reported(trained, tmp_path: Path) -> None:
    shutil.copytree(trained[1], tmp_path / "run")
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert "data have changed since" not in write_report(tmp_path / "run").read_text()
    (tmp_path / "run" / "settings.json").write_text(json.dumps({**settings, "data_digest": "0" * 16}))
    assert "data have changed since" in write_report(tmp_path / "run").read_text()


def test_without_held_out_rows_the_images_are_called_what_they_are(data: Path, train, tmp_path: Path) -> None:
    (tmp_path / "few").mkdir()
    images = sorted(data.glob("*.png"))[:2]
    for image, text in zip(images, "ab", strict=True):  # no letter twice, so that none can be held out
        shutil.copy(image, tmp_path / "few" / f"{text}.png")
    train(tmp_path / "few", tmp_path / "run")
    html = write_report(tmp_path / "run").read_text()
    assert "Training images (nothing was held out)" in html
    assert "alidation images" not in html


def test_the_share_of_clipped_steps_is_over_all_steps_of_the_run() -> None:
    points = [{"step": 1, "clipped": 1.0}, {"step": 4, "clipped": 1 / 3}, {"step": 10, "clipped": 0.0}]
    assert share_of_clipped_steps(points) == pytest.approx(2 / 10)
    assert share_of_clipped_steps([]) == 0


def test_predicted_classes_have_a_row_for_any_number_of_target_classes() -> None:
    probabilities = np.full((30, 40), 0.01)
    wanted, best = np.arange(1, 31), np.arange(1, 31)
    best[7] = 39
    shown = ShownItem("", "", np.zeros((4, 8)), probabilities, wanted, best)
    assert set(choose_classes(shown)) == {*range(31), 39}


def test_a_gradient_that_is_not_finite_is_marked_and_hides_no_other_layer() -> None:
    points = [{"layers": {"a.weight": 1.0, "b.weight": float("nan")}}, {"layers": {"a.weight": 0.5, "b.weight": 0.5}}]
    svg = draw_gradient_flow(points)
    assert svg.count("NaN</text>") == 1
    assert "blocked" not in svg


def test_a_folder_without_a_run_is_reported(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="contains no run"):
        write_report(tmp_path)


@pytest.mark.skipif(not BROWSER, reason="no Chromium here")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [pytest.param(1280, marks=pytest.mark.long), 390])
def test_a_browser_shows_the_page_and_runs_none_of_its_texts(
    trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int, dark: bool
) -> None:
    """Diagrams are there, nothing is cut off sideways, no script runs; in a frame as wide as a screen, or a phone."""
    record, items = evil(trained[1], monkeypatch)
    first = items.shown[0]
    long = replace(  # a line of 600 frames
        first,
        input=np.tile(first.input, 10),
        probabilities=np.tile(first.probabilities, (600 // len(first.best_path) + 1, 1))[:600],
        target_path=np.zeros(0, np.int64),
        best_path=np.tile(first.best_path, 600 // len(first.best_path) + 1)[:600],
    )
    items = replace(items, shown=[*items.shown, long])
    monkeypatch.setattr(report_sections, "read_items", lambda record, task: items)
    (tmp_path / "page.html").write_text(render_page(record), encoding="utf-8")
    (tmp_path / "frame.html").write_text(
        f"""<meta name="color-scheme" content="light dark">
        <iframe src="page.html" style="width:{width}px;height:900px;border:0"></iframe><script>
        addEventListener("load", () => {{ const page = document.querySelector("iframe").contentDocument;
        const svgs = [...page.querySelectorAll("svg")];
        const light = colour => colour.match(/\\d+/g).slice(0, 3).reduce((a, b) => a + +b, 0) > 380;
        document.title = JSON.stringify({{ wide: page.documentElement.scrollWidth,
          flat: svgs.filter(svg => svg.getBoundingClientRect().height < 40).length,
          images: page.querySelectorAll("svg image").length,
          attacks: page.querySelectorAll("script, img").length,
          title: page.title, heading: page.querySelector("h1").textContent,
          longest: Math.max(...svgs.map(svg => svg.getBoundingClientRect().width)) >= Math.min({width} - 60, 1200),
          paper: light(page.defaultView.getComputedStyle(page.body).backgroundColor),
          ink: light(page.defaultView.getComputedStyle(svgs[0].querySelector("text")).fill) }}) }})</script>""",
        encoding="utf-8",
    )
    words = [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--dump-dom"]
    words += ["--allow-file-access-from-files", "--enable-logging=stderr", "--virtual-time-budget=3000"]
    words += ["--blink-settings=preferredColorScheme=0"] * dark
    words += [f"--user-data-dir={tmp_path / 'profile'}"]
    ran = subprocess.run([*words, f"file://{tmp_path / 'frame.html'}"], capture_output=True, text=True, timeout=120)
    title = re.search("<title>(.*?)</title>", ran.stdout, re.DOTALL)
    assert title, ran.stderr
    assert json.loads(unescape(title[1])) == {
        "wide": width,
        "flat": 0,
        "images": 6,  # an input and a heat map for three items
        "attacks": 0,
        "title": EVIL,
        "heading": EVIL,
        "longest": True,
        "paper": not dark,
        "ink": dark,
    }
    assert "CONSOLE" not in ran.stderr
