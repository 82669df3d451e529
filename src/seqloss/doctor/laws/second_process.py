"""A second process gives a text the same ids: a vocabulary made from a set has another order in each process."""

from __future__ import annotations

import math
import os
import pickle
import subprocess
import sys
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

from seqloss.data.vocabulary import Vocabulary
from seqloss.doctor.codec import Codec
from seqloss.doctor.findings import Finding
from seqloss.doctor.laws.round_trip import codec_of
from seqloss.doctor.subject import NotChecked, Subject

TEXTS = 50
SECONDS = 20

SYMBOLS, CHANCE = 7, 1e-5
"""So many symbols are in the order of a set by chance in one of 5040 vocabularies; more may be so with a few pairs in
another order."""

MOST = 60
"""Of more symbols, no more pairs may be in another order than of so many."""

STORED = {"seqloss", "tokenizers", "transformers", "sentencepiece"}
"""Packages whose vocabularies are data, in an order that is saved with them; only making one could differ."""

CHILD = """
import pickle, sys
read = sys.stdin.buffer
sys.path[:] = pickle.load(read)
vocabulary, texts = pickle.load(read)
from seqloss.doctor.codec import Codec
codec = Codec(vocabulary)
sys.stdout.buffer.write(b"IDS" + pickle.dumps([codec.encode(text) for text in texts]))
"""

CODE = """\
# python -c "from mine import vocabulary; print(vocabulary.encode('abc'))"  # twice
vocabulary = sorted(set(characters))  # not list(set(characters))
"""


def check(subject: Subject) -> Iterator[Finding]:
    codec, texts = codec_of(subject), list(dict.fromkeys(subject.data.texts))
    if not texts:
        raise NotChecked("texts are needed")
    symbols = _symbols(codec, texts)
    if _is_order_of_set(symbols, _as_they_come(symbols, texts)):
        yield _describe({"symbols": symbols[:10], "of": len(symbols), "order": "that of set() in this process"})
        return
    if type(subject.data.vocabulary).__module__.partition(".")[0] in STORED:
        return
    texts = texts[:TEXTS]
    theirs = _encode_elsewhere(subject.data.vocabulary, texts)
    ours = [codec.encode(text) for text in texts]
    differ = next((n for n, pair in enumerate(zip(ours, theirs, strict=True)) if pair[0] != pair[1]), None)
    if differ is not None:
        yield _describe({"text": texts[differ], "ids here": ours[differ], "in a second process": theirs[differ]})


def _describe(evidence: dict[str, Any]) -> Finding:
    return Finding(
        "vocabulary-differs-between-processes", "error", evidence,
        "the order of the vocabulary is that of a set or of hashes, which is another one in each process: a model that "
        "is loaded later decodes to other characters",
        "Sort the characters, and save the vocabulary beside the weights", CODE,
    )  # fmt: skip


def _symbols(codec: Codec, texts: Sequence[str]) -> list[str]:
    """Symbols with an id of their own, in the order of the ids: characters, or words."""
    if isinstance(codec.vocabulary, Vocabulary):
        return list(codec.vocabulary.characters)
    words = {word for text in texts for word in text.split()}
    return max((_with_own_ids(codec, found) for found in (set("".join(texts)), words)), key=len)


def _with_own_ids(codec: Codec, symbols: set[str]) -> list[str]:
    """Without those that share an id, such as that of the unknown."""
    found: dict[int, list[str]] = {}
    for symbol in sorted(symbols):
        with suppress(Exception):  # such as a lone combining mark
            ids = codec.encode(symbol)
            if len(ids) == 1:
                found.setdefault(ids[0], []).append(symbol)
    return [found[one][0] for one in sorted(found) if len(found[one]) == 1]


def _as_they_come(symbols: Sequence[str], texts: Sequence[str]) -> list[str]:
    """The symbols in the order in which the texts have them; those of no text come last."""
    known = set(symbols)
    pieces = dict.fromkeys(piece for text in texts for piece in (*text, *text.split()))
    return list(dict.fromkeys([*(piece for piece in pieces if piece in known), *symbols]))


def _is_order_of_set(symbols: Sequence[str], seen: Sequence[str] = ()) -> bool:
    """Whether the order is that of the places that the symbols' hashes have in the table of a set.

    Two symbols with one place stay in the order in which they came: a few pairs may be in another order.

    Args:
        symbols: in the order of their ids.
        seen: in the order in which they may have come.
    """
    if len(symbols) < SYMBOLS:
        return False
    masks = {_table_size(len(symbols)) - 1, _table_size(len(symbols) + 3) - 1}  # with special tokens
    places = [[hash(symbol) & mask for symbol in symbols] for mask in masks]
    orders = (symbols, sorted(symbols), symbols[::-1], seen)
    return any(map(_few_inversions, places)) or any(map(_few_strangers, places)) or any(
        list(set(order)) == list(symbols) for order in orders)  # fmt: skip


def _table_size(count: int) -> int:
    """Of a set that grows symbol by symbol."""
    size = 8
    for used in range(1, count + 1):
        if used * 5 >= (size - 1) * 3:
            size = 8
            while size <= used * 4:
                size *= 2
    return size


def _few_inversions(places: Sequence[int]) -> bool:
    """Whether so few pairs are in falling order that it is no chance."""
    pairs = sum(one > other for n, one in enumerate(places) for other in places[n + 1 :])
    return pairs <= _most_inversions(len(places))


def _few_strangers(places: Sequence[int]) -> bool:
    """Whether all but a few are in rising order: one whose place is taken can go to any other."""
    ends: list[int] = []  # of the longest rising part of each length
    for place in places:
        at = bisect_right(ends, place)
        ends[at : at + 1] = [place]
    by_chance = math.comb(len(places), len(ends)) / math.factorial(len(ends))
    return by_chance < CHANCE


@cache
def _most_inversions(count: int) -> int:
    """The largest number that all but one of 100000 orders exceed, or 0."""
    ways = [1]
    for size in range(2, min(count, MOST) + 1):
        ways = [sum(ways[max(0, n - size + 1) : n + 1]) for n in range(len(ways) + size - 1)]
    total, found = 0, 0
    for number, way in enumerate(ways):
        total += way
        if total > math.factorial(min(count, MOST)) * CHANCE:
            return found
        found = number
    return found


def _encode_elsewhere(vocabulary: Any, texts: Sequence[str]) -> list[list[int]]:
    """The ids that a new process gives to texts.

    Raises:
        NotChecked: the vocabulary cannot be sent there.
    """
    try:
        import cloudpickle as pickler
    except ImportError:
        pickler = pickle
    try:
        sent = pickle.dumps(sys.path) + pickler.dumps((vocabulary, list(texts)))
    except Exception as error:
        raise NotChecked(f"the vocabulary cannot be sent to a second process ({type(error).__name__})") from None
    here = os.environ.get("PYTHONHASHSEED", "")
    environment = os.environ | {"PYTHONHASHSEED": "4321" if here != "4321" else "1234"}
    try:
        ran = subprocess.run(
            [sys.executable, "-c", CHILD], input=sent, capture_output=True, env=environment, timeout=SECONDS,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise NotChecked(f"a second process was not ready within {SECONDS} s") from None
    _, mark, found = ran.stdout.rpartition(b"IDS")
    if ran.returncode or not mark:
        last = (ran.stderr.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
        raise NotChecked(f"the vocabulary cannot be used in a second process: {last}")
    ids: list[list[int]] = pickle.loads(found)
    return ids
