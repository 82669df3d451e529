"""The labels of a batch are texts as they are written: a loader that changes texts hides it from the vocabulary."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache

from seqloss.doctor.batches.label_rows import LabelRows, find_label_rows, without_common_ends
from seqloss.doctor.batches.rows import find_rows
from seqloss.doctor.codec import Codec
from seqloss.doctor.findings import Finding
from seqloss.doctor.laws.round_trip import codec_of
from seqloss.doctor.subject import NotChecked, Subject
from seqloss.doctor.text_changes import CASE, COMPATIBILITY, SAME, change_of, first_difference, fold

LEAST = 0.5
"""Share of the rows of a part whose texts are known but for case and Unicode form; other integers are no labels."""

KNOWN, FEW = 0.9, 2
"""Share of the rows whose labels are no text that one change explains, and the fewest of these rows."""

CHANGES: dict[str, Callable[[str], str]] = {
    "reversed": lambda text: text[::-1],
    "NFKC": lambda text: unicodedata.normalize("NFKC", text),
    "upper": str.upper,
    "lower": str.lower,
}

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
    rows = _changed_rows(codec, subject.data.batches, texts)
    if rows is not None:
        yield from rows
        return
    pairs = _pairs(codec, subject.data.batches, written)
    if not pairs:
        raise NotChecked("no labels of the batches are among the texts")
    for change in (CASE, COMPATIBILITY):
        found = [(text, label) for text, label in pairs if change_of(text, label) == change]
        if found:
            yield _describe(change, found, len(pairs))


def _changed_rows(codec: Codec, batches: Sequence[object], texts: Sequence[str]) -> list[Finding] | None:
    """What one change of all texts explains; None if labels are not known by their ids."""
    plain = {ids: text for text in texts for ids in _encoded(codec, text)}
    changed = cache(
        lambda name: {ids: text for text in texts if CHANGES[name](text) != text
                      for ids in _encoded(codec, CHANGES[name](text))}
    )  # fmt: skip
    best: tuple[float, list[Finding]] = (KNOWN, [])
    for part in _label_parts(batches):
        labels = [row for one in part for row in one.rows]
        left = [short for row, short in zip(labels, without_common_ends(labels), strict=True)
                if row not in plain and short not in plain]  # fmt: skip
        if not left:
            return []
        for name in CHANGES:
            named = [(row, changed(name)[row]) for row in left if row in changed(name)]
            share = len(named) / len(left)
            if share > best[0] and len(named) >= FEW:
                best = share, [_describe_change(name, codec, named, len(labels))]
    return best[1] or None


def _label_parts(batches: Sequence[object]) -> list[list[LabelRows]]:
    """Of each part that can hold labels, these in each batch."""
    found: dict[object, list[LabelRows]] = {}
    for rows in filter(None, map(find_rows, batches)):
        for labels in find_label_rows(rows):
            found.setdefault((labels.path, labels.lengths), []).append(labels)
    return list(found.values())


def _encoded(codec: Codec, text: str) -> list[tuple[int, ...]]:
    try:
        return [tuple(codec.encode(text))]
    except Exception:  # the round trip names it
        return []


def _describe_change(change: str, codec: Codec, named: Sequence[tuple[tuple[int, ...], str]], of: int) -> Finding:
    row, text = named[0]
    label = "".join(map(str, codec.decode([row])))
    evidence = {"rows": len(named), "of": of, "text": text, "labels": label}
    if change != "reversed":
        return _describe(CASE if change in ("upper", "lower") else COMPATIBILITY, [(text, label)] * len(named), of)
    return Finding(
        "loader-reverses-texts", "error", evidence,
        "the labels of batches are the texts from their end to their beginning",
        "Write right-to-left scripts in the order of reading; reverse inputs and labels together or not at all",
        CODE,
    )  # fmt: skip


def _pairs(codec: Codec, batches: Sequence[object], written: dict[str, list[str]]) -> list[tuple[str, str]]:
    """(text, what the labels say) of the rows of the part that holds labels."""
    best: tuple[float, list[tuple[str, str]]] = (0.0, [])
    for part in _label_parts(batches):
        found: list[tuple[str, str] | None] = []
        for labels in part:
            with suppress(Exception):  # other integers are no ids
                found += [_match(text, written) for text in codec.decode(labels.rows)]
        known = [pair for pair in found if pair]
        if len(known) > best[0] * len(found):
            best = len(known) / len(found), known
    return best[1] if best[0] >= LEAST else []


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
