"""RUN/report.html: what a person sees of a run."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from seqloss.errors import RunError
from seqloss.recipes.report import write_report
from seqloss.recipes.report.gather import gather
from seqloss.recipes.report.page import render

EVIL = "<script>alert(1)</script>"
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
    assert html.count("<svg") == 6 + 1 + 2  # curves, layers, the two validation pictures
    for words in ("layers.0.0", "truth", "By epoch", "batch", "torch", "share of frames that say blank"):
        assert words in html, words
    assert len(re.findall(r"<tr><td>\d+</td>", html)) == 2


def test_ids_are_unique_in_the_page(page: Path) -> None:
    ids = re.findall(r'\bid="([^"]+)"', page.read_text())
    clips = [name for name in ids if name.startswith("p") and len(name) == 11]
    assert clips
    assert len(set(clips)) == len(clips)


def test_texts_are_shown_as_texts(trained) -> None:
    found = gather(trained[1])
    item = replace(found.shown[0], truth=EVIL, read=EVIL[::-1])
    evil = replace(
        found,
        name=EVIL,
        settings=[(EVIL, EVIL)],
        symbols=[EVIL] * len(found.symbols),
        shown=[item],
        mistakes=[(1.0, EVIL, EVIL)],
        confusions=[(EVIL, EVIL, 1)],
    )
    html = render(evil)
    assert EVIL not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_a_run_that_is_not_finished_has_a_report_too(trained, tmp_path: Path) -> None:
    shutil.copytree(trained[1], tmp_path / "run")
    (tmp_path / "run" / "result.json").unlink()
    assert "A run that is not finished yet" in write_report(tmp_path / "run").read_text()


def test_a_run_from_before_there_was_a_history_has_a_report_too(trained, tmp_path: Path) -> None:
    shutil.copytree(trained[1], tmp_path / "run")
    (tmp_path / "run" / "history.json").unlink()
    assert "What it reads" in write_report(tmp_path / "run").read_text()


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


@pytest.mark.skipif(not BROWSER, reason="no Chromium here")
@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_shows_the_page_without_an_error(page: Path, tmp_path: Path, width: int) -> None:
    """Pictures are there, nothing is cut off sideways, no script fails; in a frame as wide as a screen, or a phone."""
    (tmp_path / "page.html").write_text(page.read_text(), encoding="utf-8")
    (tmp_path / "frame.html").write_text(
        f"""<iframe src="page.html" style="width:{width}px;height:900px;border:0"></iframe><script>
        addEventListener("load", () => {{ const page = document.querySelector("iframe").contentDocument;
        const svgs = [...page.querySelectorAll("svg")];
        document.title = JSON.stringify({{ wide: page.documentElement.scrollWidth,
          flat: svgs.filter(svg => svg.getBoundingClientRect().height < 40).length,
          images: page.querySelectorAll("svg image").length }}) }})</script>""",
        encoding="utf-8",
    )
    words = [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--dump-dom"]
    words += ["--allow-file-access-from-files", "--enable-logging=stderr", "--virtual-time-budget=3000"]
    words += [f"--user-data-dir={tmp_path / 'profile'}"]
    ran = subprocess.run([*words, f"file://{tmp_path / 'frame.html'}"], capture_output=True, text=True, timeout=120)
    title = re.search("<title>(.*?)</title>", ran.stdout)
    assert title, ran.stderr
    assert json.loads(title[1]) == {"wide": width, "flat": 0, "images": 4}  # a picture and a heat map for two items
    assert "CONSOLE" not in ran.stderr
