"""The scripts of the page of examples learn: each ends with an error rate that no untrained model reaches."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from seqloss.data.synthetic_signals import make_signals

from .pages import assert_shown

pytestmark = pytest.mark.skipif("KERAS_BACKEND" in os.environ, reason="no question of Keras' backend")

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def run_example(name: str, options: Sequence[object], monkeypatch: pytest.MonkeyPatch) -> None:
    script = EXAMPLES / name
    monkeypatch.setattr(sys, "argv", [str(script), *map(str, options)])
    runpy.run_path(str(script), run_name="__main__")


def last_error_rate(output: str) -> float:
    """The percentage in the last line of a script."""
    found = re.search(r"error rate: (\d+\.\d)%", output.splitlines()[-1])
    assert found, output
    return float(found.group(1))


@pytest.mark.parametrize("name", ["numpy_ctc.py", "torch_ctc.py", "jax_ctc.py"])
def test_a_script_that_makes_its_own_data_learns(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In percent; untrained models have 100."""
    run_example(name, [], monkeypatch)
    output = capsys.readouterr().out
    assert last_error_rate(output) < 5
    assert_as_on_the_page(name, output)
    if name == "torch_ctc.py":
        assert_shown("docs/guides/examples.md", "step 100", output)


def test_the_anomalies_of_a_table_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table that the script makes, as a file; after one epoch, a quarter of the windows is judged wrongly."""
    table = tmp_path / "table.csv"
    np.savetxt(table, make_signals(3000, seed=0), delimiter=",", header="speed,load,pressure,heat", comments="")
    run_example("anomalies.py", ["--data", table], monkeypatch)
    output = capsys.readouterr().out
    assert last_error_rate(output) < 15
    assert_as_on_the_page("anomalies.py", output)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With `images` and `recordings`, as make_folders.py writes them."""
    home = tmp_path_factory.mktemp("folders")
    for kind in ("images", "recordings"):
        with pytest.MonkeyPatch.context() as patch:
            run_example("make_folders.py", [kind, home / kind], patch)
    return home


@pytest.mark.long  # half a minute each
@pytest.mark.parametrize(
    ("name", "kind", "epochs"), [("ocr_folder.py", "images", 6), ("speech_folder.py", "recordings", 8)]
)
def test_a_folder_is_learnt_and_its_test_rows_are_read(
    name: str, kind: str, epochs: int, folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """An untrained model reads nothing, an error rate of 100 %."""
    run_example(name, ["--data", folders / kind, "--out", tmp_path / "run", "--epochs", epochs], monkeypatch)
    output = capsys.readouterr().out
    assert last_error_rate(output) < 20
    assert output.count(" -> ") >= 3
    if name == "speech_folder.py":
        assert_shown("docs/guides/examples.md", "au au oe", output)
    assert_as_on_the_page(name, output)
    assert (tmp_path / "run" / "result.json").exists()


@pytest.mark.parametrize(("name", "kind"), [("ocr_folder.py", "images"), ("speech_folder.py", "recordings")])
def test_a_folder_without_test_rows_is_refused_before_the_training(
    name: str, kind: str, folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    shutil.copytree(folders / kind, data)
    for texts in data.glob("*.csv"):
        texts.write_text(texts.read_text(encoding="utf-8").replace(",test", ",validation"), encoding="utf-8")
    with pytest.raises(SystemExit, match="no test rows; give some rows the split 'test'"):
        run_example(name, ["--data", data, "--out", tmp_path / "run"], monkeypatch)
    assert not (tmp_path / "run").exists()


def test_speakers_are_told_apart(
    folders: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After one step, the rate is near 30 %."""
    run_example("speaker_pairs.py", ["--data", folders / "recordings"], monkeypatch)
    output = capsys.readouterr().out
    assert last_error_rate(output) < 10
    assert_as_on_the_page("speaker_pairs.py", output)


def rows_of_the_page() -> dict[str, str]:
    """The rows of the table of scripts, by the script that they link to."""
    page = (EXAMPLES.parent / "docs/guides/examples.md").read_text(encoding="utf-8")
    return {
        name: line for line in page.splitlines() for name in re.findall(r"\]\(\.\./\.\./examples/(\w+\.py)\)", line)
    }


def assert_as_on_the_page(name: str, output: str) -> None:
    """The last line stands on the page, with numbers of another machine."""
    shape = re.escape(re.sub(r"\d+(\.\d+)?", "#", output.splitlines()[-1])).replace(r"\#", r"\d+(\.\d+)?")
    assert re.search(f"`{shape}`", rows_of_the_page()[name]), output


def test_the_page_lists_every_script() -> None:
    assert sorted(rows_of_the_page()) == sorted(path.name for path in EXAMPLES.glob("*.py"))


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.py")))
def test_a_script_says_how_it_is_run(name: str) -> None:
    source = (EXAMPLES / name).read_text(encoding="utf-8")
    assert source.startswith('"""')
    assert f"python examples/{name}" in source.split('"""')[1]
    longer = {"huggingface_ctc.py": 124, "spelling_corrector.py": 130}
    assert len(source.splitlines()) <= longer.get(name, 80)
