"""A run from its first step to its result: what is printed, written, resumed and refused."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from seqloss.data import Vocabulary
from seqloss.errors import DataError, OptionError, RunError
from seqloss.training.checkpoints import load_checkpoint
from seqloss.training.optim import OPTIMIZERS


def weights(folder: Path, name: str = "last") -> dict[str, torch.Tensor]:
    return load_checkpoint(folder / f"checkpoints/{name}.ckpt")["state_dict"]


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def copied(trained: tuple[Path, Path, list[str]], folder: Path) -> tuple[Path, Path]:
    """The trained run, to be tampered with, as if it had been killed before its result was written."""
    data, run, _ = trained
    shutil.copytree(run, folder)
    (folder / "result.json").unlink()
    return data, folder


# --- what is said and written


def test_an_epoch_is_one_line_with_its_metrics(trained) -> None:
    printed = [line for line in trained[2] if line.startswith("epoch")]
    number = r"\d+\.\d{4}"
    for epoch, line in enumerate(printed, 1):
        assert re.fullmatch(
            rf"epoch   {epoch}/2  loss={number} val_loss={number} val_ned={number} "
            r"val_acc=\d+\.\d% val_cer=\d+\.\d\d%  \d+ images/s",
            line,
        )
    assert len(printed) == 2


def test_a_few_predictions_follow_each_epoch(trained) -> None:
    _, _, lines = trained
    shown = [line for line in lines if line.startswith("    target -> prediction: ")]
    assert [re.findall(r"'(\w+)' -> '", line) for line in shown] == [["ab", "b1"]] * 2


def test_the_result_counts_the_images_of_each_held_out_split(trained) -> None:
    result = json.loads((trained[1] / "result.json").read_text())
    assert result["epochs"] == 2
    assert (result["validation"]["items"], result["test"]["items"]) == (2, 1)


def test_a_run_stores_the_name_of_its_recipe(trained) -> None:
    assert json.loads((trained[1] / "settings.json").read_text())["recipe"] == "ocr"


def test_tensorboard_finds_the_metrics(trained) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(trained[1] / "logs"))
    events.Reload()
    assert {"loss_epoch", "validation/distance", "validation/loss"} <= set(events.Tags()["scalars"])


# --- seeds


def test_the_same_seed_gives_the_same_weights_with_workers_or_without(trained, train, tmp_path) -> None:
    train(trained[0], tmp_path / "run", workers=1)
    assert same(weights(trained[1]), weights(tmp_path / "run"))


def test_another_seed_gives_other_weights(trained, train, tmp_path) -> None:
    train(trained[0], tmp_path / "run", seed=1)
    assert not same(weights(trained[1]), weights(tmp_path / "run"))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_each_optimizer_lowers_the_loss(data, train, tmp_path, optimizer) -> None:
    lines: list[str] = []
    train(data, tmp_path / "run", optimizer=optimizer, epochs=8, print_line=lines.append)
    losses = [float(found[1]) for line in lines if (found := re.match(r"epoch .*?loss=(\S+)", line))]
    assert losses[-1] < 0.7 * losses[0]


# --- resuming


@pytest.mark.parametrize("workers", [0, 1])
def test_a_run_that_lost_its_last_epoch_ends_with_the_same_weights(trained, train, tmp_path, workers) -> None:
    class Killed(BaseException):
        pass

    def die(line: str) -> None:
        if line.startswith("epoch   2"):  # before the epoch's checkpoint
            raise Killed

    with pytest.raises(Killed):
        train(trained[0], tmp_path / "run", print_line=die, workers=workers)
    assert load_checkpoint(tmp_path / "run/checkpoints/last.ckpt")["epoch"] == 0
    lines: list[str] = []
    train(trained[0], tmp_path / "run", print_line=lines.append, workers=workers)
    assert lines[1] == f"resuming from {tmp_path / 'run/checkpoints/last.ckpt'}"
    assert same(weights(trained[1]), weights(tmp_path / "run"))
    assert same(weights(trained[1], "best"), weights(tmp_path / "run", "best"))


def test_a_run_killed_before_its_result_only_metrics(trained, train, tmp_path) -> None:
    data, run = copied(trained, tmp_path / "run")
    result = train(data, run)
    assert result == json.loads((trained[1] / "result.json").read_text())
    assert same(weights(trained[1]), weights(run))


def test_a_finished_run_is_reported_as_finished(trained, train) -> None:
    lines: list[str] = []
    result = train(trained[0], trained[1], print_line=lines.append)
    assert lines[1] == f"{trained[1]}: this run is already finished; start over with --fresh."
    assert result == json.loads((trained[1] / "result.json").read_text())


def test_a_run_that_gets_no_better_stops_and_stays_stopped(data, train, tmp_path) -> None:
    asked = {"epochs": 60, "patience": 1, "lr": 1e-12}
    epochs = train(data, tmp_path / "run", **asked)["epochs"]
    assert epochs < 60
    (tmp_path / "run/result.json").unlink()
    before = weights(tmp_path / "run")
    train(data, tmp_path / "run", **asked)
    assert same(before, weights(tmp_path / "run"))


def test_a_run_first_prints_what_it_trains_on_and_where(data, train, tmp_path) -> None:
    lines: list[str] = []
    train(data, tmp_path / "run", epochs=1, print_line=lines.append)
    assert lines[:2] == [
        "texts: manifest.csv, columns path and text",
        f"images: 9 train, 2 validation, 1 test; 3 characters; 1 epoch; run: {tmp_path / 'run'}",
    ]


def test_fresh_begins_with_the_first_epoch(data, train, tmp_path) -> None:
    train(data, tmp_path / "run", epochs=1)
    lines: list[str] = []
    train(data, tmp_path / "run", epochs=1, fresh=True, print_line=lines.append)
    assert [line[:11] for line in lines if line.startswith("epoch")] == ["epoch   1/1"]
    assert (tmp_path / "run.old-1/result.json").exists()


def test_bad_data_leave_the_run_that_fresh_would_set_aside(with_rows, train, tmp_path) -> None:
    data = with_rows("gone.png,ab,train\n")
    train(data, tmp_path / "run", epochs=1, skip_bad=True)
    with pytest.raises(DataError):
        train(data, tmp_path / "run", epochs=1, fresh=True)
    assert (tmp_path / "run/result.json").exists()


# --- data that changed


def test_another_image_of_the_same_name_is_noticed(data, train, tmp_path) -> None:
    train(data, tmp_path / "run", epochs=1)
    Image.effect_noise((40, 16), 50).save(data / "0.png")
    with pytest.raises(RunError, match="data: changed since the run began"):
        train(data, tmp_path / "run", epochs=1)


def test_a_character_that_a_resumed_run_does_not_know_is_reported(data, train, tmp_path) -> None:
    train(data, tmp_path / "run", epochs=1)
    manifest = data / "manifest.csv"
    manifest.write_text(manifest.read_text().replace("0.png,aa", "0.png,aé"), encoding="utf-8")
    with pytest.raises(DataError) as refused:
        train(data, tmp_path / "run", epochs=1)
    row = refused.value.rows[0]
    assert (row.file, row.row) == (str(manifest), 2)
    assert row.reason == "0.png: not in the vocabulary: 'é' (U+00E9 LATIN SMALL LETTER E WITH ACUTE)"


def test_rows_left_out_are_listed_beside_the_run(with_rows, train, tmp_path) -> None:
    data = with_rows("gone.png,ab,train\n=x.png,ab,train\n")
    lines: list[str] = []
    train(data, tmp_path / "run", epochs=1, skip_bad=True, print_line=lines.append)
    assert lines[1] == f"skipped 2 invalid rows: see {tmp_path / 'run/skipped.csv'}"
    rows = (tmp_path / "run/skipped.csv").read_text().splitlines()
    assert rows == [
        '"file","row","reason"',
        f'"{data / "manifest.csv"}","14","gone.png: no such file"',
        f'"{data / "manifest.csv"}","15","\'=x.png: no such file"',
    ]


def test_a_name_too_long_for_any_file_is_a_bad_row(with_rows, train, tmp_path) -> None:
    with pytest.raises(DataError) as refused:
        train(with_rows(f"{'n' * 300}.png,ab,train\n"), tmp_path / "run")
    assert "File name too long" in refused.value.rows[0].reason


def test_with_no_row_left_to_train_nothing_is_trained(data, train, tmp_path) -> None:
    for image in data.glob("*.png"):
        image.write_bytes(b"")
    with pytest.raises(DataError, match="no row is left to train with") as refused:
        train(data, tmp_path / "run", skip_bad=True)
    assert len(refused.value.rows) == 12
    assert not (tmp_path / "run").exists()


def test_one_image_alone_is_trained_on(data, train, tmp_path) -> None:
    (tmp_path / "one").mkdir()
    shutil.copy(data / "1.png", tmp_path / "one/ab.png")
    assert train(tmp_path / "one", tmp_path / "run", epochs=1) == {"epochs": 1}


# --- files that were tampered with


def test_another_vocabulary_is_noticed_when_resuming(trained, train, tmp_path) -> None:
    data, run = copied(trained, tmp_path / "run")
    (run / "vocabulary.json").write_text((run / "vocabulary.json").read_text().replace('"1"', '"1",\n  "z"'))
    with pytest.raises(RunError, match=r"vocabulary\.json: is not the vocabulary that this run was trained with"):
        train(data, run)


def test_a_torn_vocabulary_is_reported(trained, train, tmp_path) -> None:
    data, run = copied(trained, tmp_path / "run")
    (run / "vocabulary.json").write_text('{"format": ')
    with pytest.raises(RunError, match=r"vocabulary.json: cannot load the vocabulary: .* start over with --fresh"):
        train(data, run)


def test_a_torn_checkpoint_stops_resuming_and_is_kept(trained, train, tmp_path) -> None:
    data, run = copied(trained, tmp_path / "run")
    torn = (run / "checkpoints/last.ckpt").read_bytes()[:999]
    (run / "checkpoints/last.ckpt").write_bytes(torn)
    with pytest.raises(RunError, match="is no checkpoint that can be read as plain data"):
        train(data, run)
    assert (run / "checkpoints/last.ckpt").read_bytes() == torn


def test_weights_of_another_network_stop_resuming(trained, train, tmp_path) -> None:
    data, run = copied(trained, tmp_path / "run")
    checkpoint = load_checkpoint(run / "checkpoints/last.ckpt")
    checkpoint["state_dict"]["network.head.bias"] = torch.zeros(99)
    torch.save(checkpoint, run / "checkpoints/last.ckpt")
    with pytest.raises(RunError, match="weights are not those of this network"):
        train(data, run)


def test_a_moved_run_resumes_and_keeps_its_best_epoch(trained, train, tmp_path) -> None:
    data, run = copied(trained, tmp_path / "run")
    assert train(data, run)["epochs"] == 2
    assert same(weights(trained[1], "best"), weights(run, "best"))


# --- options


@pytest.mark.parametrize(
    "option", [{"accelerator": "abacus"}, {"precision": "7"}, {"accelerator": "cpu", "devices": 0}]
)
def test_what_lightning_refuses_is_an_option_error(data, train, tmp_path, option) -> None:
    with pytest.raises(OptionError, match="--accelerator, --devices or --precision: "):
        train(data, tmp_path / "run", **option)


def test_a_negative_number_of_workers_is_refused(data, train, tmp_path) -> None:
    with pytest.raises(OptionError, match="--workers: found -1, expected at least 0"):
        train(data, tmp_path / "run", workers=-1)


def test_only_bad_rows_are_all_listed_though_no_row_is_left_to_split(train, tmp_path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "manifest.jsonl").write_text(
        '{"file": "1.png", "label": "a"}\n{"path": "2.png", "text": ""}\n'
    )
    with pytest.raises(DataError, match="2 rows cannot be used") as caught:
        train(tmp_path / "data", tmp_path / "run")
    assert [row.row for row in caught.value.rows] == [1, 2]


def test_the_vocabulary_has_no_character_of_a_row_that_was_left_out(with_rows, train, tmp_path) -> None:
    data = with_rows("gone.png,Q,train\n0.png,Q,validation\n")
    train(data, tmp_path / "run", epochs=1, skip_bad=True)
    assert "Q" not in Vocabulary.load(tmp_path / "run/vocabulary.json").characters


def test_a_finished_run_reports_its_metrics_again(data, train, tmp_path) -> None:
    first, again = [], []
    train(data, tmp_path / "run", epochs=1, print_line=first.append)
    train(data, tmp_path / "run", epochs=1, print_line=again.append)
    metrics = [line for line in first if "not used in training" in line]
    assert len(metrics) == 2
    assert again[2:] == metrics


def test_other_pixels_in_an_image_of_the_same_name_and_size_are_noticed(data, train, tmp_path) -> None:
    Image.linear_gradient("L").resize((40, 16)).save(data / "0.png", "BMP")
    size = (data / "0.png").stat().st_size
    train(data, tmp_path / "run", epochs=1)
    Image.radial_gradient("L").resize((40, 16)).save(data / "0.png", "BMP")
    assert (data / "0.png").stat().st_size == size
    with pytest.raises(RunError, match="data: changed since the run began"):
        train(data, tmp_path / "run", epochs=1)


@pytest.mark.parametrize("precision", ["64-true", "bf16-mixed"])
def test_lightnings_other_precisions_train(data, train, tmp_path, precision) -> None:
    result = train(data, tmp_path / "run", epochs=1, precision=precision, accelerator="cpu")
    assert result["validation"]["items"] == 2
