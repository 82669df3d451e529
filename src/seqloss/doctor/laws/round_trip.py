"""Text to ids to text: each text of the training comes back as it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from seqloss.doctor.codec import Codec
from seqloss.doctor.findings import Finding, describe_error
from seqloss.doctor.subject import NotChecked, Subject
from seqloss.doctor.text_changes import CASE, COMPATIBILITY, FORM, OTHER, change_of, first_difference

FEW = 0.1
"""Share of unknown symbols that a vocabulary of words may leave out."""

MOST = 0.5

CODE = """\
for text in texts:
    back = vocabulary.decode(vocabulary.encode(text))
    if back != text:
        print(repr(text), repr(back))
"""


def check(subject: Subject) -> Iterator[Finding]:
    codec = codec_of(subject)
    if not subject.data.texts:
        raise NotChecked("texts are needed")
    yield from check_texts(codec, subject.data.texts)


def check_texts(codec: Codec, texts: Iterable[str]) -> Iterator[Finding]:
    """The same for texts without a training."""
    ids: dict[str, list[int]] = {}
    for text in texts:
        try:
            ids[text] = codec.encode(text)
        except Exception as error:
            yield Finding(
                "text-not-encoded", "error",
                {"text": text, "error": describe_error(error), "read before": len(ids)},
                "the vocabulary cannot encode a text of the training: a character has no id",
                "Make the vocabulary of all training texts, in the form and the case in which they are encoded", CODE,
            )  # fmt: skip
            return
    yield from _check_unknown(codec, ids)
    yield from _check_begin(codec, ids)
    yield from _check_texts(codec, {text: row for text, row in ids.items() if not codec.unknown_symbols(text)})


def codec_of(subject: Subject) -> Codec:
    """The subject's vocabulary as a codec.

    Raises:
        NotChecked: it has none.
    """
    if subject.data.vocabulary is None:
        raise NotChecked("a vocabulary is needed")
    return Codec(subject.data.vocabulary, subject.data.decode)


def _check_unknown(codec: Codec, ids: Mapping[str, Sequence[int]]) -> Iterator[Finding]:
    def share(change: str) -> float:
        changed = [getattr(text, change)() if change else text for text in ids]
        unknown = sum(len(codec.unknown_symbols(text)) for text in changed)
        symbols = sum(codec.count_symbols(text) for text in changed)
        return unknown / max(1, symbols)

    found = share("")
    if not found:
        return
    case = min(("lower", "upper"), key=share)
    is_case = share(case) <= found / 2
    if found > FEW or is_case:
        named = Counter(symbol for text in ids for symbol in codec.unknown_symbols(text)).most_common(5)
        yield Finding(
            "unknown-symbols", "error" if found >= (FEW if is_case else MOST) else "warning",
            {"share": found, f"share after {case}()": share(case), "symbols": [symbol for symbol, _ in named]},
            "the texts have symbols that the vocabulary lacks"
            + (": texts and vocabulary are of another case" if is_case else ""),
            f"Write the texts in the vocabulary's case: text.{case}()" if is_case else
            "Make the vocabulary of the training texts", CODE,
        )  # fmt: skip


def _check_begin(codec: Codec, ids: Mapping[str, Sequence[int]]) -> Iterator[Finding]:
    begin = begin_token(codec, list(ids.values()))
    twice = [text for text, row in ids.items() if begin is not None and list(row[:2]) == [begin] * 2]
    if len(twice) > len(ids) / 2:
        yield Finding(
            "begin-token-twice", "error", {"token": begin, "texts": len(twice), "of": len(ids), "such as": twice[0]},
            "the encoded texts begin with two begin tokens: one is in the text, and the tokenizer adds another",
            "Remove the begin token from the texts, or encode with add_special_tokens=False",
            "print(tokenizer.encode(texts[0])[:3])",
        )  # fmt: skip


def begin_token(codec: Codec, rows: Sequence[Sequence[int]]) -> int | None:
    """The token that the vocabulary itself calls the begin, or the class token, if all rows begin with it."""
    firsts = {row[0] if row else None for row in rows}
    named = {codec.token("bos"), codec.token("cls")} - {None}
    return next(iter(firsts & named)) if len(firsts) == 1 and firsts & named else None


def _check_texts(codec: Codec, ids: Mapping[str, Sequence[int]]) -> Iterator[Finding]:
    try:
        backs = codec.decode(list(ids.values()))
    except Exception as error:
        yield Finding(
            "ids-not-decoded", "error", {"error": describe_error(error)},
            "the ids of the training's own texts cannot be decoded", "Decode with the vocabulary that encodes", CODE,
        )  # fmt: skip
        return
    changed: dict[str, list[tuple[str, str]]] = {}
    for text, back in zip(ids, backs, strict=True):
        change = change_of(codec.normalize(text), back)
        if change:
            changed.setdefault(change, []).append((text, back))
    for change, pairs in changed.items():
        yield _describe(change, pairs, len(ids))


def _describe(change: str, pairs: Sequence[tuple[str, str]], of: int) -> Finding:
    text, back = pairs[0]
    evidence = {
        "texts": len(pairs), "of": of, "such as": text, "comes back": back, "first": first_difference(text, back),
    }  # fmt: skip
    if change == CASE:
        return Finding(
            "case-lost", "warning", evidence, "texts come back in another case: no output can be right in it",
            "Change the case of the training texts too, or keep both cases in the vocabulary", CODE,
        )  # fmt: skip
    if change in (FORM, COMPATIBILITY):
        return Finding(
            "unicode-form-lost", "warning" if change == FORM else "error", evidence,
            "texts come back in another Unicode form" + (
                ": letters that look the same are compared as different ones" if change == FORM else
                ": characters such as ² are replaced by others, which the input does not show"
            ),
            "Normalise texts, vocabulary and references to one form, NFC", CODE,
        )  # fmt: skip
    assert change == OTHER
    return Finding(
        "text-changed", "error", evidence,
        "texts do not come back from their ids: characters are left out, share an id, or padding is decoded as text",
        "Compare encode and decode at this character; cut rows to their lengths before they are decoded", CODE,
    )  # fmt: skip
