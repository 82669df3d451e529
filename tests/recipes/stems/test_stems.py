"""Runs on words: stems that were never trained come together, a killed run ends with the same bits, a report."""

from __future__ import annotations

import builtins
import re
from pathlib import Path

import pytest
import torch

from seqloss.errors import DataError, OptionError
from seqloss.recipes import load_task
from seqloss.recipes.stems import data as stems_data
from seqloss.recipes.stems.data import encode_word, read_words, split_stems, stem_words
from seqloss.recipes.stems.network import Network
from seqloss.recipes.stems.settings import Settings
from seqloss.report import write_report
from seqloss.training.engine import overfit
from seqloss.training.predictor import Predictor
from seqloss.training.run import Run

from ..examined_runs import examine_and_compare
from ..killed_runs import check_killed_run
from .conftest import write_words


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, train_stems) -> tuple[Path, dict, list[str]]:
    """(run, result, lines) of a training; not to be written to."""
    home, lines = tmp_path_factory.mktemp("stems"), []
    words = write_words(home / "words.txt")
    return home / "run", train_stems(words, home / "run", epochs=10, lr=0.01, print_line=lines.append), lines


def test_the_words_of_stems_that_were_not_trained_come_together(run) -> None:
    _, result, lines = run
    assert lines[0].startswith("words: 240 of ")
    assert lines[1].startswith("words: 204 train, 12 validation, 24 test; ")
    assert result["test"]["recall"] >= 0.9


def test_each_epoch_prints_words_with_their_nearest_ten(run) -> None:
    printed = [line for line in run[2] if line.startswith("    word -> its nearest ten: '")]
    assert len(printed) == run[1]["epochs"]
    words = re.findall(r"'(\w+)' -> '([\w ]+)'", printed[-1])
    assert len(words) == 3
    assert all(len(near.split()) == 10 and word not in near.split() for word, near in words)


def test_a_stem_is_in_one_split_with_all_its_words(stems_task, words: Path) -> None:
    sources = stems_task(words).load_data().sources
    labels = {name: set(source.labels) for name, source in sources.items()}
    assert labels["train"] | labels["validation"] | labels["test"] == set(range(60))
    assert [len(labels[name]) for name in ("train", "validation", "test")] == [51, 3, 6]
    assert sorted(word for source in sources.values() for word in source.words) == sorted(words.read_text().split())


def test_the_splits_do_not_depend_on_the_other_stems() -> None:
    few, many = split_stems(["a", "b", "c"]), split_stems([f"stem{number}" for number in range(200)])
    assert set(few.values()) == {"train"}
    assert many == split_stems([f"stem{number}" for number in reversed(range(200))])


def test_a_run_that_was_killed_ends_with_the_same_weights(train_stems, words: Path, tmp_path: Path) -> None:
    check_killed_run(train_stems, words, tmp_path, epochs=3)


def test_a_few_words_can_be_overfit(stems_task, words: Path) -> None:
    lines: list[str] = []
    assert overfit(stems_task(words, lr=0.01), 8, print_line=lines.append)
    assert lines[-1].startswith("PASS: overfit 8 words")
    assert "WARNING" not in lines[-1]


def test_the_report_shows_test_words_with_their_nearest_and_those_of_their_stem_in_green(run, tmp_path: Path) -> None:
    task = load_task(run[0])
    page = write_report(task, Run(run[0]), tmp_path / "report.html").read_text()
    tested = task.load_data().sources["test"].words
    rows = re.findall(r'<tr><td class="text"[^>]*>(\w+)</td><td class="number">3</td><td class="text">(.*?)</td>', page)
    assert len(rows) == 24
    assert {word for word, _ in rows} == set(tested)
    for word, near in rows:
        root = word.removesuffix("s").removesuffix("ed").removesuffix("ing")
        found = re.findall(r'<span class="(good|soft)">(\w+)</span>', near)
        assert len(found) == 10
        assert [kind for kind, _ in found] == ["good" if other.startswith(root) else "soft" for _, other in found]
    assert "recall at ten of test words among all 240 words" in page


def test_words_are_read_from_right_to_left() -> None:
    torch.manual_seed(0)
    network = Network(9, size=6, dimensions=3)
    word = torch.tensor([[3, 1, 4, 2]])
    plain = torch.nn.GRU(network.WIDTH, 6, batch_first=True)
    plain.load_state_dict(network.recurrent.state_dict())
    states, _ = plain(network.characters(word.flip(1)))
    torch.testing.assert_close(network(word, torch.tensor([4])), network.head(states[:, -1]))


def test_an_embedding_does_not_depend_on_the_batch() -> None:
    torch.manual_seed(0)
    network = Network(9, size=6, dimensions=3)
    words = torch.tensor([[3, 1, 4, 2], [5, 6, 0, 0], [7, 0, 0, 0]])
    lengths = torch.tensor([4, 2, 1])
    together = network(words, lengths)
    for row, length in enumerate(lengths.tolist()):
        alone = network(words[row : row + 1, :length], lengths[row : row + 1])
        torch.testing.assert_close(together[row : row + 1], alone, atol=1e-6, rtol=1e-6)


def test_a_file_is_read_in_lower_case_without_lines_of_other_characters(tmp_path: Path) -> None:
    file = tmp_path / "words.txt"
    file.write_text("Über\nit's\n\nnote\nNote\nnotes \nA1\n", encoding="utf-8")
    words, line = read_words(str(file))
    assert words == ["note", "notes", "über"]
    assert line == f"words: 3 of {file}, 6 lines; those with other characters are left out"
    file.write_text("1\n")
    with pytest.raises(DataError, match="no words; write one word of letters on each line"):
        read_words(str(file))
    with pytest.raises(DataError, match="cannot be read"):
        read_words(str(tmp_path / "none.txt"))


def test_without_a_file_the_words_are_those_of_the_system_else_those_of_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stems_data, "SYSTEM_WORDS", tmp_path / "words")
    assert read_words(None)[1] == "words: the 2617 that come with seqloss"
    (tmp_path / "words").write_text("note\nnotes\n")
    assert read_words(None)[0] == ["note", "notes"]


def test_the_words_of_the_package_have_stems_to_train_and_to_test(stems_task, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(stems_data, "SYSTEM_WORDS", tmp_path / "none")
    sources = stems_task(None).load_data().sources
    assert {name: len(set(source.labels)) for name, source in sources.items()}.keys() == {"train", "validation", "test"}
    assert all(len(set(source.labels)) < len(source) for source in sources.values())


def test_a_list_without_two_words_of_a_stem_is_refused(stems_task, tmp_path: Path) -> None:
    file = tmp_path / "words.txt"
    file.write_text("note\nhouse\ngreen\n")
    with pytest.raises(DataError, match="found 3 labels for 3 train words, expected two labels or more, one of them"):
        stems_task(file).load_data()


def test_another_language_is_one_of_the_stemmers() -> None:
    assert stem_words(["Häuser".lower(), "hauses"], "german") == ["haus", "haus"]
    with pytest.raises(OptionError, match=r"--language: found 'klingon', expected one of arabic, .*english"):
        stem_words(["a"], "klingon")


def test_without_the_stemmer_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: object) -> object:
        if name == "snowballstemmer":
            raise ModuleNotFoundError(name=name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"stemming needs snowballstemmer, .*pip install 'seqloss\[stems\]'"):
        stem_words(["a"], "english")


def test_a_character_that_no_training_word_has_is_left_out(stems_task, words: Path) -> None:
    task = stems_task(words)
    task.load_data()
    assert encode_word("drimpé", task.vocabulary) == encode_word("drimp", task.vocabulary)
    assert 0 not in encode_word("drimp", task.vocabulary)


def test_new_words_get_an_embedding_near_those_of_their_stem(run) -> None:
    predictor = Predictor(load_task(run[0]), Run(run[0]))
    first, second, other = (torch.tensor(predictor.predict(word).embedding) for word in ("blonk", "Blonked", "merting"))
    near, far = (float(torch.cosine_similarity(first, vector, dim=0)) for vector in (second, other))
    assert near > far
    assert str(predictor.predict("Blonk")).startswith("blonk\t")
    with pytest.raises(DataError, match="no training word has any of these characters"):
        predictor.predict("123")


def test_a_file_is_not_taken_for_a_word(run, tmp_path: Path) -> None:
    predictor, file = Predictor(load_task(run[0]), Run(run[0])), tmp_path / "blonk"
    file.write_text("blonk\n")
    with pytest.raises(DataError, match="is a file, expected a word; give words"):
        predictor.predict(file)
    assert predictor.predict(Path("blonk")).word == "blonk"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"margin": -0.1}, "--margin: found -0.1, expected 0 or more"),
        ({"size": 0}, "--size: found 0, expected at least 1"),
        ({"dimensions": 0}, "--dimensions: found 0, expected at least 1"),
    ],
)
def test_a_setting_out_of_range_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(OptionError, match=re.escape(message)):
        Settings(**changes)


def test_it_is_examined_and_ends_with_the_same_weights(train_stems, words: Path, tmp_path: Path) -> None:
    assert not examine_and_compare(train_stems, words, tmp_path)
