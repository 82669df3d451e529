"""Speech runs: every layout trains, a killed run ends with the same bits, results are stored with the model."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from seqloss.recipes import load_task
from seqloss.report import write_report
from seqloss.training.predictor import Predictor
from seqloss.training.run import Run

from ...data.layouts.sound_trees import SOUND_TREES
from ..examined_runs import examine_and_compare
from ..killed_runs import check_killed_run
from .conftest import write_tones


@pytest.mark.parametrize("tree", SOUND_TREES)
def test_a_folder_trains_and_says_where_its_texts_are(tree: str, train_speech, tmp_path: Path) -> None:
    SOUND_TREES[tree](tmp_path / "data")
    lines: list[str] = []
    result = train_speech(tmp_path / "data", tmp_path / "run", epochs=1, print_line=lines.append)
    assert result["epochs"] == 1
    assert lines[0].startswith("texts")


@pytest.mark.parametrize("encoder", ["lstm", "conformer"])
def test_a_run_that_was_killed_ends_with_the_same_weights(encoder: str, train_speech, tmp_path: Path) -> None:
    data = write_tones(tmp_path / "data")
    check_killed_run(train_speech, data, tmp_path, encoder=encoder, speed=True, dropout=0.3)


def test_mean_and_deviation_of_the_features_are_stored_with_the_model(train_speech, tmp_path: Path) -> None:
    data = write_tones(tmp_path / "data")
    train_speech(data, tmp_path / "run", epochs=1)
    predictor = Predictor(load_task(tmp_path / "run"), Run(tmp_path / "run"))
    task = load_task(tmp_path / "run")
    source = task.load_data().sources["train"].without_augmentation()
    frames = torch.cat([source.item(0, index)[0] for index in range(len(source))]).double()
    torch.testing.assert_close(predictor.network.norm.mean.double(), frames.mean(0), atol=1e-4, rtol=1e-5)


def test_a_run_has_a_report_with_spectrograms(train_speech, tmp_path: Path) -> None:
    data = write_tones(tmp_path / "data")
    train_speech(data, tmp_path / "run", epochs=1)
    page = write_report(load_task(tmp_path / "run"), Run(tmp_path / "run"), tmp_path / "report.html").read_text()
    assert "No predictions" not in page
    assert 'class="card' in page


def test_synthetic_digits_train_without_data(train_speech, tmp_path: Path) -> None:
    if find_spec("ttspico") is None:
        pytest.skip("the synthesiser is not installed")
    sizes = {"synthetic": 8, "validation_synthetic": 2, "test_synthetic": 2}
    lines: list[str] = []
    train_speech(None, tmp_path / "run", epochs=1, print_line=lines.append, **sizes)
    assert lines[0].startswith("recordings: 8 train, 2 validation, 2 test; 16 characters")


def test_training_items_differ_between_epochs_and_are_the_same_in_any_order(speech_task, tmp_path: Path) -> None:
    task = speech_task(write_tones(tmp_path / "data"), speed=True)
    source = task.load_data().sources["train"]
    first = [source.item(1, index) for index in range(len(source))]
    again = [source.item(1, index) for index in reversed(range(len(source)))][::-1]
    for (a, masks_a, _), (b, masks_b, _) in zip(first, again, strict=True):
        assert torch.equal(a, b)
        assert masks_a == masks_b
    other = [source.item(2, index) for index in range(len(source))]
    assert any(a[1] != b[1] for a, b in zip(first, other, strict=True))
    assert len({len(a[0]) - len(b[0]) for a, b in zip(first, other, strict=True)}) > 1
    held_out = task.load_data().sources["validation"]
    assert torch.equal(held_out.item(0, 0)[0], held_out.item(5, 0)[0])
    assert held_out.item(0, 0)[1] is None


def test_masks_are_at_the_mean_of_the_features(speech_task, tmp_path: Path) -> None:
    task = speech_task(write_tones(tmp_path / "data"))
    source = task.load_data().sources["train"]
    features, masks, _ = source.item(0, 0)
    network = task.build_network()
    seen = {}
    network.subsample.register_forward_pre_hook(lambda module, given: seen.update(x=given[0]))
    network(features[None], torch.tensor([len(features)]), [masks])
    expected = masks.apply(network.norm(features[None], torch.tensor([len(features)]))[0].numpy())
    np.testing.assert_array_equal(seen["x"][0].numpy(), expected)


def test_batches_of_a_log_normal_mix_have_at_most_five_percent_padding() -> None:
    from seqloss.recipes.speech.data import Recordings
    from seqloss.training.batches import BatchSampler

    class Lengths(Recordings):
        def __init__(self) -> None:
            self.frames = np.random.default_rng(0).lognormal(6, 0.6, 5000).astype(int)

        def __len__(self) -> int:
            return len(self.frames)

        def length(self, epoch: int, index: int) -> int:
            return int(self.frames[index])

    source = Lengths()
    batches = [[source.length(*key) for key in keys] for keys in BatchSampler(source, 16, 0)]
    padded = sum(max(batch) * len(batch) for batch in batches)
    assert 1 - sum(map(sum, batches)) / padded < 0.05


@pytest.mark.parametrize("encoder", ["lstm", "conformer"])
def test_it_is_examined_and_ends_with_the_same_weights(encoder: str, train_speech, tmp_path: Path) -> None:
    """With dropout, SpecAugment and changes of speed; no error, whatever its batch norm does with padding."""
    data = write_tones(tmp_path / "data")
    assert examine_and_compare(train_speech, data, tmp_path, encoder=encoder, speed=True).exit_code == 0
