"""Runs on tables: windows are learnt, planted anomalies are found, a killed run ends with the same bits, a report."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from seqloss.errors import DataError, OptionError, RunError
from seqloss.numpy import ErrorDistribution
from seqloss.recipes import load_task
from seqloss.recipes.autoencoder.data import find_starts
from seqloss.recipes.autoencoder.network import Network
from seqloss.recipes.autoencoder.planting import KINDS, plant_anomaly
from seqloss.recipes.autoencoder.report_section import compare_with_average
from seqloss.recipes.autoencoder.scoring import Detector, Errors, fit_detector
from seqloss.recipes.autoencoder.settings import Settings
from seqloss.report import write_report
from seqloss.training.engine import overfit
from seqloss.training.predictor import Predictor
from seqloss.training.run import Run

from ..examined_runs import examine_and_compare
from ..killed_runs import check_killed_run
from .conftest import write_table


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, train_autoencoder) -> tuple[Path, dict, list[str]]:
    """(run, result, lines) of a training; not to be written to."""
    home, lines = tmp_path_factory.mktemp("autoencoder"), []
    table = write_table(home / "table.csv")
    return home / "run", train_autoencoder(table, home / "run", epochs=60, print_line=lines.append), lines


def test_windows_are_learnt_and_planted_anomalies_found(run) -> None:
    _, result, lines = run
    assert lines[0].startswith("table: 400 rows of 2 channels (pump, flow); the column day is the time, from 2024")
    assert lines[1] == "splits by time: train rows 1 to 240, validation rows 241 to 320, test rows 321 to 400"
    assert lines[2].startswith("windows: 47 train, 8 validation, 8 test; 10 steps of 2 channels; ")
    assert lines[3] == "    code: 24 values for the 20 of a window"
    number = r"\d\.\d+"
    assert re.fullmatch(
        rf" *loss before training: {number} mean squared error \(mean of each channel {number}\)", lines[4]
    )
    assert result["test"]["loss"] < 0.1
    assert result["test"]["precision"] >= 0.7
    assert result["test"]["recall"] >= 0.7


def test_the_report_shows_input_reconstruction_and_score_with_the_anomalies_marked(run, tmp_path: Path) -> None:
    task = load_task(run[0])
    page = write_report(task, Run(run[0]), tmp_path / "report.html").read_text()
    assert "mathdefault" not in page, "the labels of the logarithmic axis"
    assert "Reconstruction and anomalies" in page
    assert 'aria-label="input, reconstruction and score over time"' in page
    assert all(f">{words}</text>" in page for words in ("pump", "flow", "score, and its threshold", "row of the table"))
    called = re.search(r"(\d) of 8 test windows with a planted anomaly, and\s(\d) of the same 8 windows", page)
    assert called
    found, false = map(int, called.groups())
    assert found / 8 == run[1]["test"]["recall"]
    assert found / (found + false) == pytest.approx(run[1]["test"]["precision"])
    assert f"<b>{found / 8:.2%}</b><span>recall, planted anomalies, test windows" in page
    assert "of a window&#39;s variance" in page


def test_a_run_that_was_killed_ends_with_the_same_weights(train_autoencoder, table: Path, tmp_path: Path) -> None:
    check_killed_run(train_autoencoder, table, tmp_path, epochs=3)


def test_a_few_windows_can_be_overfit(autoencoder_task, table: Path) -> None:
    lines: list[str] = []
    assert overfit(autoencoder_task(table), 8, print_line=lines.append)
    assert lines[-1].startswith("PASS: overfit 8 windows")


OTHERS = ({"differences": True}, {"bidirectional": True}, {"decoder": "previous"}, {"quantile": 0.9})


@pytest.mark.parametrize("changes", OTHERS)
def test_a_run_with_other_options_ends_with_a_report(train_autoencoder, table, tmp_path: Path, changes: dict) -> None:
    train_autoencoder(table, tmp_path / "run", epochs=1, **changes)
    page = write_report(load_task(tmp_path / "run"), Run(tmp_path / "run")).read_text()
    assert "input, reconstruction and score over time" in page


def test_a_table_of_one_window_is_learnt_and_the_report_says_that_a_small_code_gives_the_average(
    train_autoencoder, tmp_path: Path
) -> None:
    rows = np.random.default_rng(0).normal(size=(14, 5))
    (tmp_path / "t.csv").write_text("\n".join(",".join(f"{value:.4f}" for value in row) for row in rows))
    lines: list[str] = []
    train_autoencoder(
        tmp_path / "t.csv", tmp_path / "run", window=14, size=2, epochs=2, batch=1, print_line=lines.append
    )
    assert lines[1] == "splits: all 14 rows train; to hold some out takes 140 rows, ten windows"
    (line,) = (line for line in lines if "nothing is held out: no precision and recall" in line)
    assert line.endswith("seqloss transcribe will not work, as there is no threshold")
    with pytest.raises(RunError, match="the run held nothing out"):
        Predictor(load_task(tmp_path / "run"), Run(tmp_path / "run")).predict(tmp_path / "t.csv")
    page = write_report(load_task(tmp_path / "run"), Run(tmp_path / "run")).read_text()
    assert "the network predicts little more than the average of the steps. A code of 2 values may be too small" in page
    assert "Training windows (nothing was held out)" in page


def test_the_average_is_told_from_a_reconstruction() -> None:
    assert "predicts little more than the average of the differences" in compare_with_average(0.9, 1.0, 5, True)
    assert compare_with_average(0.1, 1.0, 5, True).endswith("10% of a window's variance is left.")


def test_new_files_are_scored(run, tmp_path: Path) -> None:
    predictor = Predictor(load_task(run[0]), Run(run[0]))
    file = write_table(tmp_path / "new.csv", 35)
    lines = file.read_text().splitlines()
    day, pump, flow = lines[13].split(",")
    lines[13] = f"{day},{float(pump) + 9},{flow}"
    file.write_text("\n".join(lines))
    found = predictor.predict(file)
    assert found.rows == list(range(1, 31))
    assert int(np.argmax(found.scores)) == 12
    assert found.scores[12] > found.threshold
    assert f"row 13\t{found.scores[12]:.4g}" in str(found)
    file.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="found the channels a, b, expected pump, flow"):
        predictor.predict(file)


def test_the_splits_are_by_time_and_the_scale_is_that_of_the_training_rows(autoencoder_task, table: Path) -> None:
    task = autoencoder_task(table)
    sources = task.load_data().sources
    assert [sources[name].starts[0] for name in ("train", "validation", "test")] == [0, 240, 320]
    assert max(sources["train"].starts) + 10 == 240
    assert sources["validation"].starts == list(range(240, 320, 10))
    values = np.loadtxt(table, delimiter=",", skiprows=1, usecols=(1, 2))
    window = (values[320:330] - values[:240].mean(0)) / values[:240].std(0)
    np.testing.assert_allclose(sources["test"].item(0, 0).values, window, rtol=1e-5, atol=1e-5)


def test_differences_have_unit_variance(autoencoder_task, table: Path) -> None:
    task = autoencoder_task(table, differences=True)
    values = torch.from_numpy(task.load_data().sources["train"].values[:240])
    torch.testing.assert_close(values.diff(dim=0).std(0, correction=0), torch.ones(2), atol=1e-4, rtol=1e-4)
    network = Network(2, task.settings)
    windows = values[:20].reshape(2, 10, 2)
    assert network(windows).shape == (2, 9, 2)
    torch.testing.assert_close(network.to_windows(windows, network.targets(windows)), windows, atol=1e-5, rtol=1e-5)


def test_planted_anomalies_follow_from_the_seed_and_change_only_their_steps(autoencoder_task, table: Path) -> None:
    first, again, other = (autoencoder_task(table, seed=seed).load_data().sources["test"] for seed in (0, 0, 1))
    items = [source.item(0, 3) for source in (first, again, other)]
    torch.testing.assert_close(items[0].planted, items[1].planted, rtol=0, atol=0)
    assert not torch.equal(items[0].planted, items[2].planted)
    for index in range(len(first)):
        item = first.item(0, index)
        assert item.anomalous.any()
        torch.testing.assert_close(item.planted[~item.anomalous], item.values[~item.anomalous], rtol=0, atol=0)
        assert not torch.equal(item.planted, item.values)
    assert first.item(0, 0).values.equal(other.item(0, 0).values)


@pytest.mark.parametrize("steps", [2, 3, 50])
def test_every_kind_of_anomaly_fits_every_window(steps: int) -> None:
    window, rng = np.random.default_rng(0).normal(size=(steps, 2)).astype(np.float32), np.random.default_rng(1)
    for _ in range(50):
        found, anomalous = plant_anomaly(window, rng)
        assert found.shape == window.shape
        assert found.dtype == np.float32
        assert 1 <= anomalous.sum() <= max(1, 3 * steps // 8)
    assert all(len(kind(window[:, 0], rng)) == steps for kind in KINDS.values())


def test_the_distribution_is_of_the_first_half_and_the_threshold_of_the_second() -> None:
    rng = np.random.default_rng(0)
    normal, planted = np.abs(rng.normal(size=(2, 6, 5, 2)))
    planted[:, 2] += 10
    planted[:3] = 1e6  # not to be looked at
    found = fit_detector(Errors(normal, planted), Settings())
    assert isinstance(found, Detector)
    np.testing.assert_allclose(found.distribution.mean, ErrorDistribution.fit(normal[:3]).mean)
    scores = found.distribution.score(normal[3:]).max(1), found.distribution.score(planted[3:]).max(1)
    assert found.threshold == pytest.approx((scores[0].max() + scores[1].min()) / 2)
    assert found.measure(Errors(normal[3:], planted[3:]), 1.0) == (1, 1, 1)
    assert fit_detector(Errors(normal[:1], planted[:1]), Settings()) is None
    quantile = fit_detector(Errors(normal, planted), Settings(quantile=1.0))
    assert quantile is not None
    assert quantile.threshold == pytest.approx(scores[0].max())


def test_bad_rows_are_all_reported_and_skipped_on_request(autoencoder_task, tmp_path: Path) -> None:
    file = write_table(tmp_path / "t.csv", 400)
    lines = file.read_text().splitlines()
    lines[100], lines[300] = "2024-04-09,,3", "2024-10-26,x,3"
    file.write_text("\n".join(lines))
    with pytest.raises(DataError, match="2 rows cannot be used") as found:
        autoencoder_task(file).load_data()
    assert [(row.file, row.row) for row in found.value.rows] == [(str(file), 101), (str(file), 301)]
    assert "column 2 (pump): the cell is empty" in str(found.value)
    data = autoencoder_task(file).load_data(skip_bad=True)
    assert len(data.skipped) == 2
    starts = data.sources["train"].starts
    assert all(start + 10 <= 99 or start >= 99 for start in starts)  # no window reaches over the row that is left out
    assert 99 in starts


def test_windows_begin_behind_a_gap() -> None:
    places = np.array([0, 1, 2, 3, 5, 6, 7, 8, 9, 10])
    assert find_starts(places, 0, 10, Settings(window=3, step=1), "train") == [0, 1, 4, 5, 6, 7]
    assert find_starts(places, 0, 10, Settings(window=5), "test") == [4]


def test_a_table_without_a_full_window_is_refused(autoencoder_task, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"found no window of 10 steps in the 9 rows .*choose a smaller --window"):
        autoencoder_task(write_table(tmp_path / "t.csv", 9)).load_data()
    with pytest.raises(DataError, match="cannot be read"):
        autoencoder_task(tmp_path / "none.csv").load_data()


def test_a_channel_that_never_changes_is_named(autoencoder_task, tmp_path: Path) -> None:
    lines: list[str] = []
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{k % 7},5\n" for k in range(100)))
    data = autoencoder_task(tmp_path / "t.csv").load_data(print_line=lines.append)
    assert "channel b: never changes in the training rows; leave it out" in lines
    assert np.isfinite(data.sources["train"].values).all()


def test_a_channel_that_counts_rows_is_named(autoencoder_task, tmp_path: Path) -> None:
    lines: list[str] = []
    (tmp_path / "t.csv").write_text("t (s),a\n" + "".join(f"{k / 10},{k % 7}\n" for k in range(100)))
    autoencoder_task(tmp_path / "t.csv").load_data(print_line=lines.append)
    assert [line for line in lines if line.startswith("channel")] == [
        "channel t (s): rises in every row; if it is the time, name it time and make it the first column, "
        "else leave it out"
    ]


def test_a_table_that_is_too_short_is_refused_before_its_channels_are_judged(autoencoder_task, tmp_path: Path) -> None:
    lines: list[str] = []
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="found no window of 10 steps in the 1 row "):
        autoencoder_task(tmp_path / "t.csv").load_data(print_line=lines.append)
    assert not [line for line in lines if line.startswith("channel")]


def test_bad_rows_of_a_new_file_are_not_to_be_skipped(run, tmp_path: Path) -> None:
    file = write_table(tmp_path / "new.csv", 40, "2024-05-01,nan,1")
    with pytest.raises(DataError, match=r"1 row cannot be used; fix or remove them:\n") as found:
        Predictor(load_task(run[0]), Run(run[0])).predict(file)
    assert "--skip-bad" not in str(found.value)


def test_without_a_file_the_signals_follow_from_the_seed(autoencoder_task) -> None:
    first, again, other = (
        autoencoder_task(None, rows=300, seed=seed).load_data().digests["data_digest"] for seed in (0, 0, 1)
    )
    assert first == again != other


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window": 1}, "--window: found 1, expected at least 2"),
        ({"window": 2, "differences": True}, "--window: found 2, expected at least 3"),
        ({"step": 0}, "--step: found 0, expected at least 1"),
        ({"size": 0}, "--size: found 0, expected at least 1"),
        ({"size": 5, "bidirectional": True}, "--size: found 5, expected an even number with --bidirectional"),
        ({"decoder": "none"}, "--decoder: found 'none', expected one of code, previous"),
        ({"beta": 0.0}, "--beta: found 0.0, expected a positive number"),
        ({"quantile": 1.5}, "--quantile: found 1.5, expected a share from 0 to 1"),
    ],
)
def test_a_setting_out_of_range_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(OptionError, match=re.escape(message)):
        Settings(**changes)


def test_it_is_examined_and_ends_with_the_same_weights(train_autoencoder, table: Path, tmp_path: Path) -> None:
    assert not examine_and_compare(train_autoencoder, table, tmp_path)
