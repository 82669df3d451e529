"""The labels of a batch are texts as they are written: a loader that changes texts hides it from the vocabulary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from seqloss.doctor.batch_rows import BatchRows, Path
from seqloss.doctor.codec import Codec
from seqloss.doctor.findings import Finding
from seqloss.doctor.label_rows import find_label_rows
from seqloss.doctor.laws.round_trip import codec_of
from seqloss.doctor.subject import NotChecked, Subject
from seqloss.doctor.text_changes import CASE, COMPATIBILITY, SAME, change_of, first_difference, fold

LEAST = 0.5
"""Share of the rows of a part whose texts are known but for case and Unicode form; other integers are no labels."""

CODE = """\
for row in batch["labels"]:
    print(repr(vocabulary.decode(row)), vocabulary.decode(row) in texts)
"""


def check(subject: Subject) -> Iterator[Finding]:
    codec, texts = codec_of(subject), subject.data.texts
    if not texts:
        raise NotChecked("texts are needed")
    written: dict[str, list[str]] = {}
    for text in texts:
        written.setdefault(fold(text), []).append(codec.normalize(text))
    pairs = _pairs(codec, subject.data.batches or subject.batches, written)
    if not pairs:
        raise NotChecked("no labels of the batches are among the texts")
    for change in (CASE, COMPATIBILITY):
        found = [(text, label) for text, label in pairs if change_of(text, label) == change]
        if found:
            yield _describe(change, found, len(pairs))


def _pairs(codec: Codec, batches: Sequence[object], written: dict[str, list[str]]) -> list[tuple[str, str]]:
    """(text, what the labels say) of the rows of the part that holds labels."""
    by_part: dict[Path, list[tuple[str, str] | None]] = {}
    for batch in batches:
        with suppress(ValueError):
            for labels in find_label_rows(BatchRows(batch)):
                key = (labels.path, labels.lengths)
                with suppress(Exception):  # other integers are no ids
                    by_part.setdefault(key, []).extend(_match(text, written) for text in codec.decode(labels.rows))
    known = {key: [pair for pair in found if pair] for key, found in by_part.items() if found}
    best = max(known, key=lambda key: len(known[key]) / len(by_part[key]), default=None)
    return known[best] if best is not None and len(known[best]) >= LEAST * len(by_part[best]) else []


def _match(label: str, written: dict[str, list[str]]) -> tuple[str, str] | None:
    """The text that labels belong to: the same one if there is one, else one that differs in form or case."""
    known = written.get(fold(label))
    if not known or not fold(label):
        return None
    return next((text for text in known if change_of(text, label) == SAME), known[0]), label


def _describe(change: str, pairs: Sequence[tuple[str, str]], of: int) -> Finding:
    text, label = pairs[0]
    evidence = {
        "rows": len(pairs), "of": of, "text": text, "labels": label, "first": first_difference(text, label),
    }  # fmt: skip
    if change == CASE:
        return Finding(
            "loader-changes-case", "warning", evidence,
            "the labels of batches are of another case than the texts: the loader changes it, and references that are "
            "not changed count as errors",
            "Change the case once, before vocabulary, labels and references are made", CODE,
        )  # fmt: skip
    return Finding(
        "loader-changes-characters", "error", evidence,
        "the labels of batches have other characters than the texts: the loader applies NFKC, which turns ² into 2",
        "Normalise to NFC, once, before vocabulary, labels and references are made", CODE,
    )  # fmt: skip
