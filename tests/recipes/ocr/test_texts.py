"""Texts of an OCR run: cleaned, in the chosen normal form, in the order of the picture; noted before the training."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

from seqloss.data import Item, Row
from seqloss.data.reading_order import ReadingOrder
from seqloss.errors import DataError, RunError
from seqloss.recipes import load_task
from seqloss.recipes.ocr.data import Files
from seqloss.recipes.recognition.transcripts import make_transcript
from seqloss.torch import ctc_greedy
from seqloss.training.batches import BatchDataset

ALEF, BET, GIMEL = "\u05d0", "\u05d1", "\u05d2"
HEBREW = [f"{ALEF}{BET}", f"({GIMEL}{ALEF}", f"{BET}{GIMEL} 12", f"{GIMEL})"]


def write_texts(folder: Path, *texts: str) -> Path:
    """Images with something in them, all to train with but the last one; and a manifest."""
    folder.mkdir()
    records = []
    for number, text in enumerate(texts):
        Image.linear_gradient("L").rotate(5 * number).resize((80, 16)).save(folder / f"{number}.png")
        split = "train" if number < len(texts) - 1 else "validation"
        records.append(json.dumps({"path": f"{number}.png", "text": text, "split": split}))
    (folder / "manifest.jsonl").write_text("\n".join(records), encoding="utf-8")
    return folder


def sure_outputs(labels: list[int], classes: int) -> dict[str, torch.Tensor]:
    """The outputs of a network that is sure of these labels."""
    frames = torch.tensor([k for label in labels for k in (label, 0)])
    logits = 20.0 * torch.nn.functional.one_hot(frames, classes)[None].float()
    return {"logits": logits, "logit_lengths": torch.tensor([len(frames)])}


def test_spaces_around_texts_are_stripped_and_counted_before_the_training(tmp_path, train) -> None:
    data = write_texts(tmp_path / "data", " ab", "b\u00a0a", "ab ", "ba", "a")
    lines: list[str] = []
    train(data, tmp_path / "run", epochs=1, print_line=lines.append)
    where = lines.index("texts: 2 had spaces around them, stripped (such as 0.png, line 1)")
    assert lines[where + 1] == "texts: U+00A0 NO-BREAK SPACE in 1 (such as 1.png, line 2)"
    assert where < next(number for number, line in enumerate(lines) if "loss before training" in line)
    assert load_task(tmp_path / "run").vocabulary.characters == ("a", "b", "\u00a0")


def test_a_line_break_in_a_text_is_refused_with_its_row(tmp_path, task_for) -> None:
    data = write_texts(tmp_path / "data", "ab", "a\nb", "ba")
    with pytest.raises(DataError) as refused:
        task_for(data).load_data()
    assert [row.row for row in refused.value.rows] == [2]
    assert "1.png: a line break in the text (U+000A LINE FEED after 'a')" in str(refused.value)


def test_texts_are_trained_in_the_chosen_normal_form(tmp_path, task_for) -> None:
    data = write_texts(tmp_path / "data", "\ufb01x", "xi", "fi")
    found = {}
    for form in ("NFC", "NFKC"):
        task = task_for(data, normalize=form)
        first = task.load_data().sources["train"].item(0, 0)[1]
        found[form] = (first, "".join(task.vocabulary.characters), task.vocabulary.normalization)
    assert found == {"NFC": ("\ufb01x", "ix\ufb01", "NFC"), "NFKC": ("fix", "fix", "NFKC")}


def test_texts_are_trained_as_they_are_with_no_normal_form(tmp_path, task_for) -> None:
    task = task_for(write_texts(tmp_path / "data", "\u00e9", "e\u0301"), normalize="none")
    lines: list[str] = []
    found = task.load_data(print_line=lines.append)
    assert [source.item(0, 0)[1] for source in found.sources.values()] == ["\u00e9", "e\u0301"]
    assert task.vocabulary.characters == ("\u00e9",)
    assert "letters that look the same are different classes; --normalize NFC makes them the same" in lines[1]


def test_targets_are_in_the_order_of_the_image_and_texts_in_the_logical_one(tmp_path, task_for) -> None:
    task = task_for(write_texts(tmp_path / "data", *HEBREW, "a"))
    lines: list[str] = []
    data = task.load_data(print_line=lines.append)
    batch = BatchDataset(data.sources["train"].without_augmentation(), task.collate).first_items(0, 4)
    assert batch.texts == HEBREW
    rows = zip(batch.targets.tolist(), batch.target_lengths.tolist(), strict=True)
    shown = [task.vocabulary.decode(labels[:length]) for labels, length in rows]
    assert shown == [f"{BET}{ALEF}", f"{ALEF}{GIMEL})", f"12 {GIMEL}{BET}", f"({GIMEL}"]
    assert lines[1:] == [
        "texts: 4 of 5 are right to left; trained in the order in which an image shows them, "
        "transcribed in logical order (--direction auto)"
    ]


@pytest.mark.parametrize("text", HEBREW)
def test_a_perfect_network_has_no_error_and_transcribes_in_logical_order(tmp_path, task_for, text: str) -> None:
    task = task_for(write_texts(tmp_path / "data", *HEBREW, "a"))
    task.load_data()
    labels, _ = task.encode_texts([text])
    outputs = sure_outputs(labels[0].tolist(), len(task.vocabulary))
    metrics = task.make_metrics()
    assert task.update_metrics(metrics, SimpleNamespace(texts=[text]), outputs) == [(text, text)]
    assert {name: float(metric.compute()) for name, metric in metrics.items()} == {
        "distance": 0,
        "exact": 1,
        "characters": 0,
    }
    transcript = make_transcript(Path("x.png"), ctc_greedy(**outputs)[0], task.vocabulary, task.order)
    assert transcript.text == text
    assert "".join(character["character"] for character in transcript.characters) == task.order.to_visual(text)


def test_augmentation_leaves_the_frames_that_the_order_of_the_image_needs(tmp_path, monkeypatch) -> None:
    Image.linear_gradient("L").resize((80, 16)).save(tmp_path / "0.png")
    row = Row("m.csv", 2, tmp_path / "0.png", "aba", None, "0.png")
    needed: list[int] = []
    monkeypatch.setattr("seqloss.recipes.ocr.data.augment", lambda line, count, rng: needed.append(count) or line)
    Files([Item(row, width=80, frames=20, target="aab")], 16, augmented=True).item(0, 0)
    assert needed == [4]


def test_a_held_out_bracket_is_known_by_what_the_images_show(tmp_path, train) -> None:
    """A right-to-left text with an opening bracket shows a closing one."""
    lines: list[str] = []
    data = write_texts(tmp_path / "data", f"{ALEF}(", ALEF, f"a{ALEF}", "a)")
    train(data, tmp_path / "run", epochs=1, print_line=lines.append)
    assert "characters that do not occur in training" not in "\n".join(lines)


def test_the_uniform_baseline_counts_repeats_in_the_order_of_the_image(tmp_path, task_for) -> None:
    text = f"a{ALEF}{BET}"
    task = task_for(write_texts(tmp_path / "data", text, text))
    task.load_data()
    task.order = SimpleNamespace(to_visual=lambda text: "aab")
    outputs = {"logits": torch.zeros(1, 9, 4), "logit_lengths": torch.tensor([9])}
    repeated = task.baseline_loss(SimpleNamespace(texts=[text]), outputs)
    task.order = ReadingOrder()
    assert repeated > task.baseline_loss(SimpleNamespace(texts=[text]), outputs)


def test_a_run_keeps_the_base_direction_of_its_training_texts(tmp_path, train) -> None:
    data = write_texts(tmp_path / "data", *HEBREW, "a")
    train(data, tmp_path / "run", epochs=1)
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())
    kept = {name: settings[name] for name in ("direction", "base_direction", "normalize", "rotate")}
    assert kept == {"direction": "auto", "base_direction": "rtl", "normalize": "NFC", "rotate": 0}
    assert load_task(tmp_path / "run").order == ReadingOrder("auto", "rtl")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"direction": "visual"}, "direction was 'auto', now 'visual'"),
        ({"normalize": "NFKC"}, "normalize was 'NFC', now 'NFKC'"),
        ({"rotate": 180}, "rotate was 0, now 180"),
    ],
)
def test_a_run_is_not_resumed_with_other_texts_or_turned_images(
    tmp_path: Path, train: Callable[..., Any], changes: dict[str, Any], message: str
) -> None:
    data = write_texts(tmp_path / "data", *HEBREW, "a")
    train(data, tmp_path / "run", epochs=1)
    with pytest.raises(RunError, match=message):
        train(data, tmp_path / "run", epochs=1, **changes)


def test_texts_that_are_stored_as_the_image_shows_them_are_trained_so(tmp_path, task_for) -> None:
    task = task_for(write_texts(tmp_path / "data", f"{ALEF}{BET}(", ALEF), direction="visual")
    lines: list[str] = []
    task.load_data(print_line=lines.append)
    labels, _ = task.encode_texts([f"{ALEF}{BET}("])
    assert task.vocabulary.decode(labels[0].tolist()) == f"{ALEF}{BET}("
    assert task.decode_outputs(sure_outputs(labels[0].tolist(), 4)) == [f"{ALEF}{BET}("]
    assert lines[1].endswith("in which the images show them (--direction visual)")


def test_a_direction_overrules_that_of_the_first_letter(tmp_path, task_for) -> None:
    task = task_for(write_texts(tmp_path / "data", "ab!", f"{ALEF}{BET}"), direction="rtl")
    task.load_data()
    assert task.order == ReadingOrder("rtl", "rtl")
    labels, _ = task.encode_texts(["ab!"])
    assert task.vocabulary.decode(labels[0].tolist()) == "!ab"
