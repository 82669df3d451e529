"""Runs on a text: words are predicted, a killed run ends with the same bits, unseen words have kin, a report."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from seqloss.data import Vocabulary
from seqloss.errors import DataError, OptionError
from seqloss.recipes import load_task
from seqloss.recipes.charlm.network import Network, count_bytes, cutoffs_of, filter_counts, uniform_losses
from seqloss.recipes.charlm.perplexity import Perplexity
from seqloss.recipes.charlm.settings import Settings
from seqloss.report import write_report
from seqloss.training.engine import overfit
from seqloss.training.predictor import Predictor
from seqloss.training.run import Run

from ..examined_runs import examine_and_compare
from ..killed_runs import check_killed_run
from .conftest import SMALL, write_text


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, train_charlm) -> tuple[Path, dict, list[str]]:
    """(run, result, lines) of a training; not to be written to."""
    home, lines = tmp_path_factory.mktemp("charlm"), []
    text = write_text(home / "text.txt")
    return home / "run", train_charlm(text, home / "run", epochs=8, print_line=lines.append), lines


def test_a_text_of_simple_sentences_is_predicted(run) -> None:
    _, result, lines = run
    assert re.match(r"text: 1 file of .*: 1080 train words, 135 validation words, 135 test words", lines[0])
    assert lines[1].startswith("rows: 120 train, 15 validation, 15 test; ")
    assert result["test"]["perplexity"] < 4  # three choices among 10, 5 and 10 words in 11 words: 1.8
    assert result["test"]["perplexity"] == pytest.approx(math.exp(result["test"]["loss"]), rel=1e-5)
    assert any("(uniform in each cluster" in line and "WARNING" not in line for line in lines)


def test_the_table_is_the_same_recipe(train_charlm, text: Path, tmp_path: Path) -> None:
    result = train_charlm(text, tmp_path / "run", words="table", epochs=8)
    assert result["test"]["perplexity"] < 4


@pytest.mark.parametrize("words", ["characters", "table"])
def test_a_run_that_was_killed_ends_with_the_same_weights(train_charlm, text: Path, tmp_path: Path, words: str) -> None:
    check_killed_run(train_charlm, text, tmp_path, epochs=3, words=words, dropout=0.3, word_dropout=0.2)


def test_a_few_rows_can_be_overfit(charlm_task, text: Path) -> None:
    lines: list[str] = []
    assert overfit(charlm_task(text), 4, print_line=lines.append)
    assert lines[-1].startswith("PASS: overfit 4 rows")
    assert "WARNING" not in lines[-1]


def plain_losses(network: Network, task, rows: list[tuple[str, ...]]) -> list[list[float]]:
    """Row by row, with PyTorch's LSTM and the log-probabilities of all classes."""
    first = network.recurrent[0]
    lstm = nn.LSTM(first.input_size, first.hidden_size, batch_first=True)
    lstm.load_state_dict(first.state_dict())
    found = []
    for row in rows:
        vectors = network.word_vectors(row[:-1], task.numbers)
        logs = network.softmax.log_prob(lstm(vectors[None])[0][0])
        found.append([-float(logs[step, task.numbers.get(word, 0)]) for step, word in enumerate(row[1:])])
    return found


@pytest.mark.parametrize("words", ["characters", "table"])
def test_losses_are_those_of_a_plain_version_row_by_row(charlm_task, text: Path, words: str) -> None:
    task = charlm_task(text, words=words, longest=6)
    rows = task.load_data().sources["test"].rows[:7]
    torch.manual_seed(0)
    network = task.build_network().eval()
    with torch.no_grad():
        batch = task.collate(rows)
        found = network(batch)
        expected = plain_losses(network, task, rows)
    for row, length, values in zip(found, batch.lengths.tolist(), expected, strict=True):
        np.testing.assert_allclose(row[:length], values, rtol=2e-5)
        assert not row[length:].any()
    total, count = sum(map(sum, expected)), sum(map(len, expected))
    assert float(task.loss(batch, {"losses": found})) == pytest.approx(total / count, rel=1e-5)
    metric = Perplexity()
    metric.update(found, count)
    assert float(metric.compute()) == pytest.approx(math.exp(total / count), rel=1e-5)


def test_the_mean_of_a_split_weighs_words_and_not_batches() -> None:
    metric = Perplexity()
    metric.update(torch.tensor([[1.0, 2.0, 3.0]]), 3)
    metric.update(torch.tensor([[0.0]]), 1)
    assert float(metric.compute()) == pytest.approx(math.exp(6 / 4))


def test_unknown_words_are_read_by_their_characters_and_are_one_class_of_the_table(charlm_task, text: Path) -> None:
    for words, same in (("characters", False), ("table", True)):
        task = charlm_task(text, words=words)
        task.load_data()
        network = task.build_network()
        first, second = network.word_vectors(["beering", "rivering"], task.numbers)
        assert torch.equal(first, second) == same


def test_a_character_that_no_word_of_the_vocabulary_has_is_no_error(charlm_task, text: Path) -> None:
    task = charlm_task(text)
    task.load_data()
    network = task.build_network()
    first, second = (network.word_vectors([word], task.numbers) for word in ("beeß", "beeж"))
    assert torch.equal(first, second)  # within one batch, the rows of a product may be rounded in two ways


def test_an_unseen_word_lies_near_its_kin_before_any_training(charlm_task, text: Path) -> None:
    """Common characters alone bring words together; what training adds is in docs/guides/language-model.md."""
    task = charlm_task(text, word_size=210)
    task.load_data()
    torch.manual_seed(0)
    network, words = task.build_network(), [*task.vocabulary.characters, "foresting", "riverside"]
    with torch.inference_mode():
        vectors = nn.functional.normalize(network.word_vectors(words, task.numbers))
    for word, kin in (("foresting", "forest"), ("riverside", "river")):
        scores = vectors @ vectors[words.index(word)]
        order = [words[place] for place in scores.argsort(descending=True)]
        assert {kin, kin + "s"} & set(order[1:4])


def test_the_report_shows_nearest_words_and_bytes(run, tmp_path: Path) -> None:
    task = load_task(run[0])
    page = write_report(task, Run(run[0]), tmp_path / "report.html").read_text()
    rows = re.findall(r'<span class="(good|)">(\S+)</span></td><td>(yes|no)</td><td class="text">(.*?)</td>', page)
    shown = {word: (kind, seen, near.split()) for kind, word, seen, near in rows}
    assert shown["beer"][:2] == ("", "yes")
    assert list(shown)[:2] == ["beer", "beers"]
    assert all(len(near) == 10 and word not in near for word, (_, _, near) in shown.items())
    network = task.build_network()
    assert f"<b>{count_bytes(network) / 1e6:.2f} MB</b><span>parameters of the whole model" in page
    assert 'aria-label="bytes of the parameters by part"' in page


def test_words_that_are_asked_for_are_in_the_report_though_no_text_has_them(run, tmp_path: Path) -> None:
    task = load_task(run[0])
    task.settings = replace(task.settings, show="foresting Beer")
    page = write_report(task, Run(run[0]), tmp_path / "report.html").read_text()
    assert '<span class="good">foresting</span></td><td>no</td>' in page
    assert '<span class="good">Beer</span></td><td>no</td>' in page


def test_a_report_without_the_text_says_so(run, tmp_path: Path) -> None:
    task = load_task(run[0])
    task.settings = replace(task.settings, data=str(tmp_path / "gone.txt"))
    page = write_report(task, Run(run[0]), tmp_path / "report.html").read_text()
    assert "No words: " in page
    assert "gone.txt: no such file or folder" in page


def test_a_new_text_gets_its_perplexity(run, tmp_path: Path) -> None:
    predictor = Predictor(load_task(run[0]), Run(run[0]))
    good = predictor.predict("Many beers see one river near the 7 .")
    bad = predictor.predict("river the near one see Many . beers 7")
    assert good.perplexity < 6 < bad.perplexity
    assert (good.words, good.unknown) == (10, 1)
    file = tmp_path / "new.txt"
    file.write_text("Many beers see one river near the 7 .\n")
    assert predictor.predict(file) == good
    assert str(good).endswith("of 10 words, 1 of them outside of the vocabulary")
    with pytest.raises(DataError, match="found no word, expected a text"):
        predictor.predict(" ")


def test_the_score_of_a_file_has_its_name(run, tmp_path: Path) -> None:
    file = tmp_path / "new.txt"
    file.write_text("Many beers see one river near the 7 .\n")
    found = Predictor(load_task(run[0]), Run(run[0])).predict(file)
    assert found.path == str(file)
    assert str(found).startswith(f"{file}: perplexity ")


def test_a_new_file_of_zero_bytes_is_no_text(run, tmp_path: Path) -> None:
    file = tmp_path / "new.txt"
    file.write_bytes(bytes(100))
    with pytest.raises(DataError, match="not a text"):
        Predictor(load_task(run[0]), Run(run[0])).predict(file)


def test_the_encoder_takes_less_than_half_the_bytes_of_a_table() -> None:
    vocabulary = Vocabulary([f"w{number}" for number in range(5000)], "none", "words")
    characters, table = (count_bytes(Network(vocabulary, Settings(words=kind))) for kind in ("characters", "table"))
    assert characters <= table / 2


def test_filters_of_the_paper_have_the_sizes_of_the_paper() -> None:
    assert filter_counts(525) == {width: 25 * width for width in range(1, 7)}
    assert min(filter_counts(21).values()) == 1
    assert all(sum(filter_counts(size).values()) == size for size in (21, 50, 210, 333))


@pytest.mark.parametrize("classes", [2, 3, 10, 1000])
def test_the_loss_before_training_is_that_of_equal_weights(classes: int) -> None:
    softmax = nn.AdaptiveLogSoftmaxWithLoss(4, classes, cutoffs_of(classes))
    targets = torch.arange(classes)
    expected = -softmax(torch.zeros(classes, 4), targets).output
    torch.testing.assert_close(uniform_losses(classes, targets), expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"words": "bytes"}, "--words: found 'bytes', expected one of characters, table"),
        ({"word_size": 20}, "--word-size: found 20, expected at least 21"),
        ({"dropout": 1.0}, "--dropout: found 1.0, expected 0 to less than 1"),
        ({"word_dropout": -0.1}, "--word-dropout: found -0.1, expected 0 to less than 1"),
        ({"longest": 0}, "--longest: found 0, expected at least 1"),
        ({"min_count": 0}, "--min-count: found 0, expected at least 1"),
    ],
)
def test_a_setting_out_of_range_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(OptionError, match=re.escape(message)):
        Settings(**{**SMALL, **changes})


def test_it_is_examined_and_ends_with_the_same_weights(train_charlm, text: Path, tmp_path: Path) -> None:
    assert not examine_and_compare(train_charlm, text, tmp_path, dropout=0.3)
