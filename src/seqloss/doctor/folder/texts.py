"""The texts of a data folder: their Unicode forms, their symbols, and their way through a vocabulary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from seqloss.data.vocabulary import Vocabulary, describe_character
from seqloss.doctor.codec import Codec
from seqloss.doctor.findings import Finding
from seqloss.doctor.folder.contents import SHOWN, Contents, FolderOptions
from seqloss.doctor.laws.round_trip import check_texts

UNKNOWN = "unknown-symbols"


def check_folder_texts(contents: Contents, options: FolderOptions) -> Iterator[Finding]:
    """What is wrong with the texts of a folder.

    Args:
        contents: of the folder.
        options: its vocabulary, units and normal form are used.
    """
    train = [contents.order.to_visual(row.text) for row in contents.splits.train]
    vocabulary = options.vocabulary
    if vocabulary is not None:
        yield from _check_vocabulary(vocabulary, train)
    forms = contents.notes.forms
    if len(forms) > 1 or forms["neither"]:
        yield Finding(
            "unicode-forms-differ", "warning", dict(sorted(forms.items())),
            "texts are in different Unicode forms: letters that look the same are different classes",
            "Normalise all texts to NFC; `seqloss train` does",
        )  # fmt: skip
    known = vocabulary or Vocabulary.from_texts(train, options.normalize, options.units)
    yield from _check_held_out(contents, known)


def _check_vocabulary(vocabulary: Vocabulary, train: list[str]) -> Iterator[Finding]:
    """As before a training, but that one unknown symbol is an error: recipes refuse its row."""
    found = list(check_texts(Codec(vocabulary), train))
    yield from (replace(one, severity="error") if one.name == UNKNOWN else one for one in found)
    missing = [text for text in train if vocabulary.unknown_characters(text)]
    if missing and UNKNOWN not in [one.name for one in found]:
        symbols = dict.fromkeys(one for text in missing for one in vocabulary.unknown_characters(text))
        yield Finding(
            "unknown-symbols", "error",
            {"texts": len(missing), "of": len(train), "symbols": [*map(describe_character, symbols)][:SHOWN]},
            "the texts have symbols that the vocabulary lacks", "Make the vocabulary of the training texts",
        )  # fmt: skip


def _check_held_out(contents: Contents, known: Vocabulary) -> Iterator[Finding]:
    unknown = [known.unknown_characters(contents.order.to_visual(row.text)) for row in contents.held_out]
    unseen = Counter(symbol for symbols in unknown for symbol in symbols)
    if unseen:
        yield Finding(
            "held-out-symbols-unseen", "warning",
            {"texts": sum(map(bool, unknown)), "of held-out texts": len(contents.held_out),
             "symbols": [describe_character(symbol) for symbol, _ in unseen.most_common(SHOWN)]},
            "held-out texts have symbols that training texts lack: each of them is an error",
            "Add training texts with these symbols, or write the texts in the same form",
        )  # fmt: skip
