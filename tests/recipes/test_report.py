"""RUN/report.html: what a person sees of a run."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from html import unescape
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from seqloss.errors import RunError
from seqloss.recipes.ocr import warm_then_cosine
from seqloss.recipes.report import write_report
from seqloss.recipes.report.gather import Gathered, Shown, gather
from seqloss.recipes.report.page import render, share_clipped
from seqloss.recipes.report.plots import classes_to_show, gradient_flow

EVIL = '<script>document.title = "run"</script><img src=x onerror="document.title = 1">'
BROWSER = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), "")


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
    assert html.count("<svg ") == 6 + 1 + 2  # curves, layers, the two validation pictures
    for words in ("layers.0.0", "truth", "By epoch", "batch", "torch", "share of frames that say blank"):
        assert words in html, words
    assert len(re.findall(r"<tr><td>\d+</td>", html)) == 2


def test_ids_are_unique_in_the_page(page: Path) -> None:
    ids = re.findall(r'\bid="([^"]+)"', page.read_text())
    clips = [name for name in ids if name.startswith("p") and len(name) == 11]
    assert clips
    assert len(set(clips)) == len(clips)


def evil(run: Path) -> Gathered:
    """What a run's report shows, with all of its texts made to attack it."""
    found = gather(run)
    assert found.items
    shown = [replace(item, truth=EVIL, read=EVIL[::-1]) for item in found.items.shown]
    items = replace(found.items, shown=shown, mistakes=[(1.0, EVIL, EVIL)], confusions=[(EVIL, EVIL, 1)])
    symbols = [EVIL] * len(found.symbols)
    return replace(found, name=EVIL, settings=[(EVIL, EVIL)], symbols=symbols, items=items)


def test_texts_are_shown_as_texts(trained) -> None:
    html = render(evil(trained[1]))
    assert EVIL not in html
    assert "<script" not in html
    assert "<img" not in html
    assert html.count("&lt;script&gt;") >= 9  # in the title, settings, items, mistakes, confusions and diagrams


def test_a_run_that_is_not_finished_has_a_report_too(trained, tmp_path: Path) -> None:
    shutil.copytree(trained[1], tmp_path / "run")
    (tmp_path / "run" / "result.json").unlink()
    assert "A run that is not finished yet" in write_report(tmp_path / "run").read_text()


def test_a_run_from_before_there_was_a_history_has_a_report_too(trained, tmp_path: Path) -> None:
    shutil.copytree(trained[1], tmp_path / "run")
    (tmp_path / "run" / "history.json").unlink()
    assert "What it reads" in write_report(tmp_path / "run").read_text()


def test_a_run_whose_pictures_are_gone_still_shows_its_curves(trained, tmp_path: Path) -> None:
    shutil.copytree(trained[1], tmp_path / "run")
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())
    (tmp_path / "run" / "settings.json").write_text(json.dumps({**settings, "data": str(tmp_path / "moved")}))
    html = write_report(tmp_path / "run").read_text()
    assert "Nothing can be read: " in html
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


def test_data_that_have_changed_since_are_told(trained, tmp_path: Path) -> None:
    shutil.copytree(trained[1], tmp_path / "run")
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert "changed since" not in write_report(tmp_path / "run").read_text()
    (tmp_path / "run" / "settings.json").write_text(json.dumps({**settings, "data_digest": "0" * 16}))
    assert "changed since" in write_report(tmp_path / "run").read_text()


def test_without_held_out_rows_the_pictures_are_called_what_they_are(data: Path, train, tmp_path: Path) -> None:
    (tmp_path / "few").mkdir()
    pictures = sorted(data.glob("*.png"))[:2]
    for picture, text in zip(pictures, "ab", strict=True):  # no letter twice, so that none can be held out
        shutil.copy(picture, tmp_path / "few" / f"{text}.png")
    train(tmp_path / "few", tmp_path / "run")
    html = write_report(tmp_path / "run").read_text()
    assert "Training pictures (nothing was held out)" in html
    assert "alidation pictures" not in html


def test_the_share_of_clipped_steps_is_that_of_the_whole_run() -> None:
    points = [{"step": 1, "clipped": 1.0}, {"step": 4, "clipped": 1 / 3}, {"step": 10, "clipped": 0.0}]
    assert share_clipped(points) == pytest.approx(2 / 10)
    assert share_clipped([]) == 0


def test_what_is_said_has_a_row_however_many_classes_the_truth_has() -> None:
    probabilities = np.full((30, 40), 0.01)
    wanted, best = np.arange(1, 31), np.arange(1, 31)
    best[7] = 39
    shown = Shown("", "", 0.0, np.zeros((4, 8)), probabilities, wanted, best)
    assert set(classes_to_show(shown)) == {*range(31), 39}


def test_a_gradient_that_is_no_number_is_told_and_hides_no_other_layer() -> None:
    points = [{"layers": {"a.weight": 1.0, "b.weight": float("nan")}}, {"layers": {"a.weight": 0.5, "b.weight": 0.5}}]
    svg = gradient_flow(points)
    assert svg.count("NaN</text>") == 1
    assert "blocked" not in svg


def test_a_folder_without_a_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="holds no run"):
        write_report(tmp_path)


def test_the_history_has_each_epoch_once_after_a_run_was_taken_up_again(trained, train, tmp_path: Path) -> None:
    shutil.copytree(trained[1], tmp_path / "run")
    (tmp_path / "run" / "result.json").unlink()
    before = json.loads((tmp_path / "run" / "history.json").read_text())
    train(trained[0], tmp_path / "run")
    after = json.loads((tmp_path / "run" / "history.json").read_text())
    assert [epoch["epoch"] for epoch in after["epochs"]] == [1, 2]
    assert after["points"] == before["points"]


def test_the_history_holds_what_the_trainer_did(trained) -> None:
    history = json.loads((trained[1] / "history.json").read_text())
    assert history["clip"] == 5.0
    assert [point["step"] for point in history["points"]] == [1, 2, 3, 4, 5, 6]
    for point in history["points"]:
        assert point["clipped"] == float(point["norm"] > 5.0)
        assert 0 <= point["blank"] <= 1
        assert point["layers"]["network.head.weight"] > 0
    rates = [point["lr"] for point in history["points"]]
    assert rates == [pytest.approx(2e-3 * warm_then_cosine(step, 6)) for step in range(6)]
    assert history["trainer"] == {"accelerator": "cpu", "devices": 1, "precision": "32-true", "batches": 3}
    assert history["versions"]["torch"] == version("torch")


@pytest.mark.skipif(not BROWSER, reason="no Chromium here")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_shows_the_page_and_runs_none_of_its_texts(trained, tmp_path: Path, width: int, dark: bool) -> None:
    """Pictures are there, nothing is cut off sideways, no script runs; in a frame as wide as a screen, or a phone."""
    found = evil(trained[1])
    assert found.items
    first = found.items.shown[0]
    long = replace(  # a line of 600 frames
        first,
        line=np.tile(first.line, 10),
        probabilities=np.tile(first.probabilities, (600 // len(first.best) + 1, 1))[:600],
        wanted=np.zeros(0, np.int64),
        best=np.tile(first.best, 600 // len(first.best) + 1)[:600],
    )
    found = replace(found, items=replace(found.items, shown=[*found.items.shown, long]))
    (tmp_path / "page.html").write_text(render(found), encoding="utf-8")
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
        "images": 6,  # a picture and a heat map for three items
        "attacks": 0,
        "title": EVIL,
        "heading": EVIL,
        "longest": True,
        "paper": not dark,
        "ink": dark,
    }
    assert "CONSOLE" not in ran.stderr
