"""The sanity checks that an OCR run prints."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from seqloss.errors import DataError
from seqloss.recipes.ocr.network import Network
from seqloss.training.batches import BatchDataset
from seqloss.training.module import TaskModule

from ..examined_runs import examine_and_compare


def test_the_loss_with_empty_images_is_the_mean_over_all_held_out_images(data: Path, task_for) -> None:
    """Whatever the widths of the first ones: here a loss for each image, in batches of one."""
    task = task_for(data, batch=1)
    source = task.load_data().sources["validation"]
    module = TaskModule(task, 1).eval()
    found = []
    for index in range(len(source)):
        batch = BatchDataset(source, task.collate).first_items(index, index + 1)
        module.validation_step(batch, index)
        logits, frames = module.network(torch.zeros_like(batch.images), batch.widths)
        loss = task.loss(batch, {"logits": logits, "logit_lengths": frames})
        found.append((float(loss.detach()), len(batch.texts[0])))
    expected = sum(loss * count for loss, count in found) / sum(count for _, count in found)
    assert float(module.empty_input_loss.compute()) == pytest.approx(expected)


def test_a_training_prints_its_sanity_checks(trained) -> None:
    printed = "\n".join(trained[2])
    assert "vocabulary: 3 characters + blank = 4 classes; output layer: 4 classes" in printed
    assert "all 9 targets fit their frames" in printed
    assert "loss before training: " in printed
    assert " (uniform baseline " in printed
    assert "with empty images" in printed
    assert "scores: WARNING" not in printed


def test_a_network_that_ends_in_a_softmax_is_reported_before_the_first_step(
    data: Path, train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Network.forward

    def with_softmax(self: Network, *given: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits, frames = plain(self, *given)
        return logits.softmax(2), frames

    monkeypatch.setattr(Network, "forward", with_softmax)
    lines: list[str] = []
    train(data, tmp_path / "run", epochs=1, print_line=lines.append)
    (line,) = [line for line in lines if "scores:" in line]
    assert line.endswith("rows hold probabilities; take their logarithm, or leave out the softmax")


def test_a_held_out_character_that_training_never_saw_is_an_error_and_no_bad_row(with_rows, train, tmp_path) -> None:
    data = with_rows("12.png,xß,test\n")
    Image.linear_gradient("L").resize((40, 16)).save(data / "12.png")
    lines: list[str] = []
    result = train(data, tmp_path / "run", epochs=1, print_line=lines.append)
    assert "    1 of 2 test texts has characters that do not occur in training (x ß); each counts as an error" in lines
    assert result["test"]["items"] == 2
    assert result["test"]["exact"] <= 0.5


def test_infeasible_texts_are_reported_with_the_subsampling_at_which_they_fit(with_rows, train, tmp_path) -> None:
    data = with_rows("long.png,ababababababab,train\n")
    Image.linear_gradient("L").resize((40, 16)).save(data / "long.png")
    words = "1 of 13 targets needs more frames than there are at 4 pixels/frame (at 3: 0, at 2: 0, at 1: 0)"
    with pytest.raises(DataError) as refused:
        train(data, tmp_path / "run")
    assert str(refused.value).endswith(words)
    lines: list[str] = []
    train(data, tmp_path / "run", skip_bad=True, epochs=1, print_line=lines.append)
    assert f"    {words}" in lines


def test_it_is_examined_and_ends_with_the_same_weights(data: Path, train, tmp_path: Path) -> None:
    """Its batch norm takes statistics over the padding of a batch, of which there is little."""
    found = examine_and_compare(train, data, tmp_path)
    assert found.names == []
