"""Speaker runs: unseen takes and a left-out speaker are told apart, a killed run ends with the same bits, a report."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from seqloss.errors import DataError, OptionError
from seqloss.recipes import load_task
from seqloss.recipes.embedding.report_items import embed_source
from seqloss.recipes.speaker.report_drawing import COLORS, draw_speakers
from seqloss.recipes.speaker.settings import Settings
from seqloss.report import write_report
from seqloss.training.engine import overfit
from seqloss.training.predictor import Predictor
from seqloss.training.run import Run

from ..examined_runs import examine_and_compare
from ..killed_runs import check_killed_run
from .conftest import VOICES, write_voices


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, train_speaker) -> tuple[Path, dict, list[str]]:
    """(run, result, lines) of a training without one voice; not to be written to."""
    home, lines = tmp_path_factory.mktemp("speaker"), []
    data = write_voices(home / "voices")
    options = {"epochs": 12, "leave_out": "dee", "speed": False, "lr": 0.01}
    return home / "run", train_speaker(data, home / "run", print_line=lines.append, **options), lines


def test_it_tells_voices_apart_in_unseen_takes_and_measures_the_left_out_one(run) -> None:
    _, result, lines = run
    assert lines[0] == "labels: manifest.csv, columns path and speaker"
    assert any(line.startswith("recordings: 15 train, 6 validation, 6 test, 15 left_out; 4 speakers") for line in lines)
    assert result["test"]["error"] <= 0.1
    assert result["test"]["accuracy"] >= 0.9
    assert 0 <= result["left_out"]["error"] < 0.5
    assert lines[-1].startswith("left_out: left_out_loss=")


def test_sanity_checks_name_labels_and_the_loss_of_equal_embeddings(run) -> None:
    checks = [line for line in run[2] if line.startswith("    ")]
    assert checks[0] == "    labels: 3, of 5 to 5 recordings each; a batch of 12 recordings has 3 labels"
    assert re.search(r"loss before training: [\d.]+ nats \(equal embeddings [\d.]+\)$", checks[1])
    assert "with empty recordings" in checks[2]


def test_the_errors_are_those_of_the_pairs_and_of_the_threshold_of_the_validation_split(run) -> None:
    from seqloss.numpy import equal_error_rate, pair_accuracy, pair_threshold

    task = load_task(run[0])
    predictor, sources = Predictor(task, Run(run[0])), task.load_data().sources

    def scores(split: str, focus: int | None = None) -> tuple[list[float], list[bool]]:
        found = embed_source(predictor, task, sources[split])
        pairs = [(i, j) for i in range(len(found.labels)) for j in range(i)]
        pairs = [(i, j) for i, j in pairs if focus is None or focus in (found.labels[i], found.labels[j])]
        values = task.similarity(found.embeddings, found.embeddings)
        return [float(values[i, j]) for i, j in pairs], [bool(found.labels[i] == found.labels[j]) for i, j in pairs]

    threshold = pair_threshold(*scores("validation"))
    for split, focus in (("test", None), ("left_out", 3)):
        assert run[1][split]["error"] == pytest.approx(equal_error_rate(*scores(split, focus)), abs=1e-5)
        assert run[1][split]["accuracy"] == pytest.approx(pair_accuracy(*scores(split, focus), threshold), abs=1e-5)


@pytest.mark.parametrize("loss", ["pairwise_kl_hinge", "cosine_triplet"])
def test_a_run_that_was_killed_ends_with_the_same_weights(
    loss: str, train_speaker, voices: Path, tmp_path: Path
) -> None:
    check_killed_run(train_speaker, voices, tmp_path, loss=loss, dropout=0.3, epochs=3)


def test_a_few_recordings_of_several_voices_can_be_overfit(speaker_task, voices: Path) -> None:
    lines: list[str] = []
    assert overfit(speaker_task(voices, lr=0.01), 8, print_line=lines.append)
    assert lines[-1].startswith("PASS: overfit 8 recordings")
    assert "WARNING" not in lines[-1]


def test_the_report_shows_the_embedding_with_each_speaker_in_the_legend(run, tmp_path: Path) -> None:
    page = write_report(load_task(run[0]), Run(run[0]), tmp_path / "report.html").read_text()
    (figure,) = re.findall(r"<svg [^>]*held-out recordings by speaker.*?</svg>", page, re.DOTALL)
    assert all(f">{name}</text>" in figure for name in ("ann", "bob", "cid", "dee (left out)"))
    assert "equal error rate, speaker dee" in page
    assert "pair accuracy, test recordings" in page


def test_the_report_of_missing_recordings_says_why_there_is_no_embedding(
    train_speaker, voices: Path, tmp_path: Path
) -> None:
    train_speaker(voices, tmp_path / "run", epochs=1)
    (voices / "manifest.csv").unlink()
    assert "No embedding: " in write_report(load_task(tmp_path / "run"), Run(tmp_path / "run")).read_text()


def luminance(color: str) -> float:
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("color", COLORS)
@pytest.mark.parametrize("card", ["#ffffff", "#1a2028"])
def test_a_color_is_readable_on_a_light_and_on_a_dark_page(color: str, card: str) -> None:
    low, high = sorted((luminance(color), luminance(card)))
    assert (high + 0.05) / (low + 0.05) >= 3


def test_more_speakers_than_colors_have_other_markers() -> None:
    speakers = np.array([f"speaker {number:02}" for number in range(20)])
    figure = draw_speakers(np.random.default_rng(0).normal(size=(20, 2)), speakers, np.array([0.6, 0.3]), None)
    assert all(f">{name}</text>" in figure for name in speakers)
    assert "first principal component, 60% of the variance" in figure


def test_a_label_may_be_in_another_column(train_speaker, tmp_path: Path) -> None:
    data = write_voices(tmp_path / "voices", column="Bird")
    lines: list[str] = []
    result = train_speaker(data, tmp_path / "run", epochs=1, column="bird", print_line=lines.append)
    assert lines[0] == "labels: manifest.csv, columns path and Bird"
    assert "left_out" not in result
    with pytest.raises(DataError, match=r"no column named 'speaker' in the header 'path,text,Bird,split'"):
        train_speaker(data, tmp_path / "other")


def test_a_label_that_does_not_exist_cannot_be_left_out(speaker_task, voices: Path) -> None:
    with pytest.raises(OptionError, match=r"--leave-out: found 'eve', expected one of ann, bob, cid, dee\."):
        speaker_task(voices, leave_out="eve").load_data()


def test_recordings_that_cannot_be_read_are_listed_or_skipped(speaker_task, tmp_path: Path) -> None:
    data = write_voices(tmp_path / "voices", rows="broken.wav,x,ann,train\nnone.wav,x,ann,train\nann0.wav,x,,test\n")
    (data / "broken.wav").write_bytes(b"RIFF")
    with pytest.raises(DataError) as caught:
        speaker_task(data).load_data()
    assert [row.reason.partition(":")[0] for row in caught.value.rows] == ["broken.wav", "none.wav", "ann0.wav"]
    assert len(speaker_task(data).load_data(skip_bad=True).skipped) == 3


def test_one_speaker_alone_is_refused(speaker_task, tmp_path: Path) -> None:
    data = write_voices(tmp_path / "voices")
    lines = (data / "manifest.csv").read_text().splitlines()
    (data / "manifest.csv").write_text("\n".join([lines[0], *(line for line in lines if ",ann," in line)]))
    with pytest.raises(DataError, match="found 1 label for 5 train recordings, expected two labels or more"):
        speaker_task(data).load_data()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": None}, "--data is missing: give the folder of the recordings"),
        ({"loss": "ctc"}, "--loss: found 'ctc', expected one of pairwise_kl_hinge, cosine_triplet"),
        ({"margin": -1.0}, "--margin: found -1.0, expected 0 or more"),
        ({"margin": float("nan")}, "--margin: found nan"),
        ({"rate": 100}, "--rate: found 100, expected 4000 to 48000"),
        ({"dimensions": 1}, "--dimensions: found 1, expected at least 2"),
        ({"dropout": 1.0}, "--dropout: found 1.0"),
        ({"layout": "kaldy"}, "--layout: found 'kaldy', expected one of"),
        ({"column": " "}, "--column: found an empty name"),
    ],
)
def test_a_setting_out_of_range_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(OptionError, match=re.escape(message)):
        Settings(**{"data": "voices", **changes})


def test_training_items_follow_from_seed_and_epoch_and_another_speed_is_another_label(speaker_task, voices) -> None:
    source = speaker_task(voices).load_data().sources["train"]
    first, again = ([source.item(1, index) for index in range(len(source))] for _ in range(2))
    assert all(torch.equal(a.values, b.values) and a.label == b.label for a, b in zip(first, again, strict=True))
    assert any(source.item(2, index).label != first[index].label for index in range(len(source)))
    plain = source.without_augmentation()
    for index, item in enumerate(first):
        stored = plain.item(0, index)
        assert item.label == source.label(1, index)
        assert item.label % len(VOICES) == stored.label
        change = len(item.values) - len(stored.values)
        assert (item.label // len(VOICES) == 0) == (change == 0)


def test_an_embedding_does_not_depend_on_the_batch(speaker_task, voices: Path) -> None:
    task = speaker_task(voices)
    source = task.load_data().sources["test"]
    network = task.build_network().eval()
    items = [source.item(0, index) for index in range(len(source))]
    together = task.forward(network, task.collate(items))["embeddings"]
    alone = torch.cat([task.forward(network, task.collate([item]))["embeddings"] for item in items])
    assert len({len(item.values) for item in items}) > 1
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_new_recordings_get_an_embedding_that_tells_voices_apart(run) -> None:
    task = load_task(run[0])
    predictor, folder = Predictor(task, Run(run[0])), run[0].parent / "voices"
    ann, other, bob = (predictor.predict(folder / name) for name in ("ann7.wav", "ann8.wav", "bob7.wav"))
    assert len(ann.embedding) == 8
    assert str(ann).startswith(f"{folder / 'ann7.wav'}\t")
    assert task.similarity_of(ann, other) > task.similarity_of(ann, bob)
    with pytest.raises(DataError):
        predictor.predict(folder / "manifest.csv")


def test_the_settings_of_a_run_are_stored(run) -> None:
    saved = json.loads((run[0] / "settings.json").read_text())
    assert (saved["recipe"], saved["leave_out"], saved["loss"]) == ("speaker", "dee", "pairwise_kl_hinge")


def test_it_is_examined_and_ends_with_the_same_weights(train_speaker, voices: Path, tmp_path: Path) -> None:
    assert not examine_and_compare(train_speaker, voices, tmp_path)
