"""The ids of the vocabulary are classes of the model: none is past its last class, none is the blank of the loss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

import torch
from torch import Tensor

from seqloss.data.vocabulary import Vocabulary
from seqloss.doctor.batches.ctc_rows import find_ctc_rows
from seqloss.doctor.batches.label_rows import find_label_rows, without_common_ends
from seqloss.doctor.batches.parts import name_part
from seqloss.doctor.codec import Codec
from seqloss.doctor.findings import Finding
from seqloss.doctor.laws.round_trip import begin_token, codec_of
from seqloss.doctor.subject import Change, NotChecked, Subject
from seqloss.doctor.targets import is_target

CODE = """\
print(len(vocabulary), model(batch).shape)
print(max(max(vocabulary.encode(text)) for text in texts))
"""


def check(subject: Subject) -> Iterator[Finding]:
    codec = codec_of(subject) if subject.data.vocabulary is not None else None
    ctc = find_ctc_rows(subject, subject.batches[0])
    if codec is None and ctc is None:
        raise NotChecked("a vocabulary is needed, or a CTC loss")
    ids = _encode(codec, subject.data.texts) if codec else []
    labels = [*ids, *(ctc.labels.rows if ctc else ())]
    if ctc is not None:
        yield from _check_head(ctc.classes, codec, labels)
    elif _are_targets(subject, ids):
        yield from _check_head(class_count(subject), codec, labels)
    if ctc is not None:
        yield from _check_blank(ctc.blank, labels)
    yield from _check_padding(codec, ids)
    yield from _check_begin(codec, ids, subject)


def _are_targets(subject: Subject, ids: Sequence[Sequence[int]]) -> bool:
    """Whether the vocabulary is that of the targets: a tagger's is that of its inputs, its classes are others."""
    known = {tuple(row) for row in ids}
    if not known:
        return True
    with torch.no_grad():
        plain = subject.call(subject.batches[0])
        for labels in find_label_rows(subject.rows()):
            cut = without_common_ends(labels.rows)
            if sum(row in known or short in known for row, short in zip(labels.rows, cut, strict=True)) > len(cut) / 2:
                return is_target(subject, labels.path, plain.outputs)
        return all(is_target(subject, labels.path, plain.outputs) for labels in find_label_rows(subject.rows()))


def _encode(codec: Codec, texts: Sequence[str]) -> list[list[int]]:
    vocabulary = codec.vocabulary
    found = [[one] for one in range(1, len(vocabulary))] if isinstance(vocabulary, Vocabulary) else []
    with suppress(Exception):  # the round trip names it
        for text in texts:
            found.append(codec.encode(text))
    return found


def _check_head(classes: int | None, codec: Codec | None, rows: Sequence[Sequence[int]]) -> Iterator[Finding]:
    if classes is None:
        return
    size = (codec.size if codec else None) or 0
    largest = max((one for row in rows for one in row), default=-1)
    if max(size, largest + 1) > classes:
        yield Finding(
            "head-too-small", "error", {"classes of the model": classes, "size of the vocabulary": size or "unknown",
                                        "largest id": largest if largest >= 0 else "unknown"},
            "the model has fewer classes than the vocabulary has ids: a loss that does not check labels reads other "
            "memory, and can be negative",
            "Make the last layer with the size of the vocabulary, blank and special tokens included", CODE,
        )  # fmt: skip


def _check_blank(blank: int | None, rows: Sequence[Sequence[int]]) -> Iterator[Finding]:
    if blank is None:
        return
    with_blank = sum(blank in row for row in rows)
    if with_blank:
        yield Finding(
            "blank-is-a-label", "error",
            {"blank of the loss": blank, "rows of labels with it": with_blank, "of": len(rows)},
            "the class that the loss takes for the blank is a character of the vocabulary",
            "Give the loss the blank of the vocabulary: blank=0 for a seqloss Vocabulary, often the pad token", CODE,
        )  # fmt: skip


def _check_padding(codec: Codec | None, ids: Sequence[Sequence[int]]) -> Iterator[Finding]:
    """Whether the id that the vocabulary itself names its padding is within a text."""
    pad = codec.token("pad") if codec else None
    inside = [row for row in ids if pad is not None and pad in row[1:-1]]
    if inside:
        yield Finding(
            "padding-is-a-label", "error", {"padding": pad, "texts that have it": len(inside), "of": len(ids)},
            "the id of the padding is also that of a character: these labels are left out, or padding is decoded as "
            "text",
            "Give the padding an id of its own, or pad with -100", CODE,
        )  # fmt: skip


def _check_begin(codec: Codec | None, ids: Sequence[Sequence[int]], subject: Subject) -> Iterator[Finding]:
    """Labels or a decoder's inputs that begin with two begin tokens, while an encoded text has one."""
    begin = begin_token(codec, ids) if codec and ids else None
    if begin is None or any(list(row[:2]) == [begin] * 2 for row in ids):
        return
    for found in find_label_rows(subject.rows()):
        if found.rows and all(list(row[:2]) == [begin] * 2 for row in found.rows):
            yield Finding(
                "begin-token-twice", "error", {"token": begin, "part": name_part(found.path)},
                "the tokenizer writes a begin token, and the loader or the shift to the right writes another",
                "Remove the first label before labels are shifted", "print(batch['labels'][:, :3])",
            )  # fmt: skip
            return


def class_count(subject: Subject) -> int | None:
    """Classes of the scores of another loss; None if no axis of an output is known to hold them."""
    with torch.no_grad():
        plain = subject.call(subject.batches[0])
        tensors = {name: x for name, x in plain.outputs.items() if x.is_floating_point() and x.dim() > 1}
        for name in sorted(tensors, key=lambda name: -tensors[name].numel()):
            axis = _class_axis(subject, name, tensors[name], plain.value)
            if axis is not None:
                return tensors[name].shape[axis]
    return None


def _class_axis(subject: Subject, name: str, scores: Tensor, value: float) -> int | None:
    """The axis along which numbers that are added to all classes leave the loss as it is."""
    generator = torch.Generator().manual_seed(0)
    for axis in range(scores.dim() - 1, 0, -1):
        if scores.shape[axis] < 2:
            continue
        shape = [1 if n == axis else size for n, size in enumerate(scores.shape)]
        added = torch.rand(shape, generator=generator).to(scores)
        moved = subject.call(subject.batches[0], change=_adding(name, added)).value
        if abs(moved - value) <= 1e-5 * max(1.0, abs(value)) or _sums_to_one(scores, axis):
            return axis
    return None


def _adding(name: str, more: Tensor) -> Change:
    return lambda key, x: x + more if key == name else x


def _sums_to_one(scores: Tensor, axis: int) -> bool:
    return bool(((scores.double().exp().sum(axis) - 1).abs() < 1e-3).all())
