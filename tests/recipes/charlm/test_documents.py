"""Texts are read, cut into words, and split without a paragraph in two splits; bad files are named."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from seqloss.errors import DataError
from seqloss.recipes.charlm.data import END, make_rows, make_vocabulary, stack_rows
from seqloss.recipes.charlm.documents import (
    DOCSTRING,
    Document,
    keep_prose,
    read_docstrings,
    read_documents,
    read_help_pages,
)
from seqloss.recipes.charlm.paragraphs import split_documents, split_paragraphs, split_words

from .conftest import write_text


def test_words_keep_their_form_and_signs_stand_alone() -> None:
    assert split_words("It's naïve, x_1 = (3.5)…") == ["It's", "naïve", ",", "x_1", "=", "(", "3", ".", "5", ")", "…"]
    assert split_words("-" * 79) == split_words("-" * 70) == ["---"]
    assert split_words("nai\u0308ve") == ["naïve"]


def test_an_empty_line_ends_a_paragraph_else_each_line_is_one() -> None:
    assert split_paragraphs("a b\nc\n \t\nd\r\n\r\n\r\n\n...\n") == [["a", "b", "c"], ["d"], ["..."]]
    assert split_paragraphs("a b\nc\n") == [["a", "b"], ["c"]]
    assert split_paragraphs(" \n\n ") == []


def documents(count: int, size: int = 3) -> list[Document]:
    return [
        Document(str(number), "\n\n".join(f"word{number} is at place{place}" for place in range(size)))
        for number in range(count)
    ]


def test_a_document_is_in_one_split_and_a_tenth_of_the_words_each_is_held_out() -> None:
    splits = split_documents(documents(60))
    assert {name: len(rows) for name, rows in splits.items()} == {"train": 144, "validation": 18, "test": 18}
    first = {name: {row[0] for row in rows} for name, rows in splits.items()}
    assert {name: len(words) for name, words in first.items()} == {"train": 48, "validation": 6, "test": 6}
    assert splits == split_documents(documents(60))


def test_few_documents_are_cut_into_pieces_that_are_each_in_one_split() -> None:
    splits = split_documents(documents(1, 1000))
    assert {name: len(rows) for name, rows in splits.items()} == {"train": 800, "validation": 100, "test": 100}
    places = [int(row[-1].removeprefix("place")) for row in splits["test"]]
    assert {place // 10 for place in places} == {place // 10 for place in places[::10]}  # pieces of ten paragraphs


def test_a_paragraph_that_stood_before_is_left_out() -> None:
    repeated = [Document(str(number), f"same words\n\nown{number}") for number in range(40)]
    rows = [tuple(row) for part in split_documents(repeated).values() for row in part]
    assert len(rows) == len(set(rows)) == 41


def test_a_text_that_cannot_be_split_is_refused() -> None:
    with pytest.raises(
        DataError, match=r"the validation split has no text: found 1 piece of 2 words in all.*empty lines"
    ):
        split_documents([Document("one", "two words")])
    with pytest.raises(DataError, match="split has no text"):
        split_documents([])


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("b/2.md", "a.rst", "c.TXT", "no.py"):
        (tmp_path / name).write_text(name)
    found, bad, line = read_documents(str(tmp_path))
    assert [document.text for document in found] == ["a.rst", "b/2.md", "c.TXT"]
    assert (bad, line) == ([], f"text: 3 files of {tmp_path}")


def test_bad_files_are_named_with_their_line_and_what_to_do(charlm_task, tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"{number}.txt").write_text(f"The file {number} has these words.")
    (tmp_path / "latin.txt").write_bytes(b"fine\nna\xefve\n")
    (tmp_path / "zero.txt").write_bytes(b"fine\nfine\nno\0\n")
    (tmp_path / "empty.txt").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        charlm_task(tmp_path).load_data()
    message = str(caught.value)
    assert message.startswith("3 rows cannot be used; fix or remove them, or skip them with --skip-bad:")
    assert f"{tmp_path}/latin.txt: not UTF-8 (byte 0xEF in line 2); save it again as UTF-8." in message
    assert f"{tmp_path}/zero.txt: not a text (a zero byte in line 3); leave it out, or save it as UTF-8." in message
    assert f"{tmp_path}/empty.txt: found no word; leave it out." in message
    data = charlm_task(tmp_path, min_count=1).load_data(skip_bad=True)
    assert len(data.skipped) == 3
    assert sum(map(len, data.sources.values())) == 30


@pytest.mark.parametrize(
    ("name", "message"),
    [("none.txt", "no such file or folder; give a text file"), ("", "no text; expected files whose names end in .txt")],
)
def test_a_path_without_text_is_refused(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        read_documents(str(tmp_path / name))


def test_a_file_without_a_word_alone_is_refused_also_where_bad_files_are_skipped(charlm_task, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("---\n")
    with pytest.raises(DataError, match="found no word"):
        charlm_task(tmp_path / "a.txt").load_data(skip_bad=True)


def test_docstrings_are_found_where_python_has_them() -> None:
    code = '''#!/usr/bin/env python
# a comment

"""Of the module."""
import re
x = """no docstring"""
class A(B):
    r"""Of the class."""
    def f(self, y={1: """no"""}) -> int:
        """Of the method,
        in two lines."""
        return """no"""
'''
    found = [" ".join(text.split()) for text in DOCSTRING.findall(code)]
    assert found == ["Of the module.", "Of the class.", "Of the method, in two lines."]


def test_prose_is_kept_and_code_is_not() -> None:
    text = "This is a sentence.\n\n>>> this is a line of code\n\nf(x) = {1: [2, 3]} % y\n\ntoo short"
    assert keep_prose(text) == "This is a sentence."


def test_python_comes_with_enough_text_to_train_and_to_test(charlm_task) -> None:
    lines: list[str] = []
    task = charlm_task(None)
    data = task.load_data(print_line=lines.append)
    assert re.fullmatch(
        rf"text: docstrings and help pages of Python {sys.version.split()[0]}: \d+ train words, .*", lines[0]
    )
    words = {name: source.predicted for name, source in data.sources.items()}
    assert words["train"] > 150_000
    assert min(words["validation"], words["test"]) > 15_000
    assert len(list(read_help_pages())) > 70
    assert len(list(read_docstrings())) > 100
    texts = {name: {tuple(row) for row in rows} for name, rows in task.paragraphs.items()}
    assert not texts["train"] & (texts["validation"] | texts["test"])


def test_rows_have_the_word_before_and_each_word_is_predicted_once() -> None:
    rows = make_rows([["a", "b", "c", "d"], ["e"]], 2)
    assert rows == [(END, "a", "b"), ("b", "c", "d"), ("d", END), (END, "e", END)]


def test_the_vocabulary_has_frequent_words_first_and_the_end_of_a_paragraph() -> None:
    vocabulary = make_vocabulary([["b", "a", "c"], ["a", "b", "a"]], 2)
    assert vocabulary.characters == ("a", END, "b")
    with pytest.raises(DataError, match="--min-count: no word of the training text is there 9 times"):
        make_vocabulary([["a"]], 9)


def test_a_batch_has_the_class_of_each_next_word() -> None:
    batch = stack_rows([(END, "a", "x"), ("b", END)], {"a": 1, END: 2, "b": 3})
    assert batch.words == [(END, "a"), ("b",)]
    assert batch.inputs.tolist() == [[2, 1], [3, 0]]
    assert batch.targets.tolist() == [[1, 0], [2, 0]]
    assert batch.lengths.tolist() == [2, 1]


def test_the_text_decides_the_digest(charlm_task, tmp_path: Path) -> None:
    digests = []
    for count in (150, 151):
        digests.append(charlm_task(write_text(tmp_path / "a.txt", count)).load_data().digests["data_digest"])
    assert digests[0] != digests[1]
