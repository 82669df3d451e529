"""The section of the report that the charlm recipe adds: nearest words, and bytes beside a table of words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from markupsafe import Markup

from seqloss.errors import DataError, OptionError, RunError
from seqloss.recipes.charlm.data import END
from seqloss.recipes.charlm.network import Network, count_bytes
from seqloss.recipes.charlm.report_drawing import draw_bytes
from seqloss.recipes.charlm.text_task import TextTask
from seqloss.recipes.embedding.neighbors import find_nearest
from seqloss.report.record import RunRecord
from seqloss.report.section import Block, Figure, render_template
from seqloss.training.predictor import Predictor

UNSEEN, SEEN = 12, 8
"""Words of the held-out text in the table."""

LETTERS = re.compile(r"[^\W\d_]{4,}")


class Neighbors(NamedTuple):
    """A word, whether the training text has it, and its nearest ten."""

    word: str
    seen: bool
    nearest: list[str]


def words_section(record: RunRecord) -> Iterator[Block]:
    """Words with their nearest ones, and what the words of the network cost; or why they are not known."""
    try:
        task = cast(TextTask, record.task)
        task.load_data(skip_bad=True)
        network = cast(Network, Predictor(task, record.run).network)
        rows, figures, costs = nearest_words(task, network), _figures(task, network), _costs(task, network)
        values: dict[str, Any] = {"rows": rows, "kind": task.settings.words, "drawn": Markup(draw_bytes(costs))}
    except (RunError, DataError, OptionError, OSError) as problem:
        values, figures = {"rows": None, "trouble": str(problem).splitlines()[0].rstrip(":")}, ()
    yield Block("Words", render_template("seqloss.recipes.charlm", "words.html", **values), figures)


def nearest_words(task: TextTask, network: Network) -> list[Neighbors]:
    """The words to show, each with the nearest ten of the vocabulary and of the words to show."""
    trained = Counter(word for row in task.paragraphs["train"] for word in row)
    asked = task.settings.show.split()
    shown = list(dict.fromkeys([*asked, *_held_out_words(task, trained)]))
    others = list(dict.fromkeys([*(word for word in task.vocabulary.characters if LETTERS.fullmatch(word)), *shown]))
    with torch.inference_mode():
        vectors = network.word_vectors(others, task.numbers).double().numpy()
    places = np.array([others.index(word) for word in shown])
    nearest = find_nearest(vectors[places], vectors, places)
    return [
        Neighbors(word, word in trained, [others[place] for place in near])
        for word, near in zip(shown, nearest, strict=True)
    ]


def _held_out_words(task: TextTask, trained: Counter[str]) -> list[str]:
    """The most frequent words of the test text that were never trained, then such that were, evenly spread."""
    held_out = Counter(word for row in task.paragraphs["test"] for word in row if LETTERS.fullmatch(word))
    ordered = sorted(held_out, key=lambda word: (-held_out[word], word))
    seen = [word for word in ordered if word in trained and word != END]
    spread = np.linspace(0, len(seen) - 1, min(SEEN, len(seen))).astype(int)
    return [*[word for word in ordered if word not in trained][:UNSEEN], *(seen[place] for place in spread)]


def _costs(task: TextTask, network: Network) -> list[tuple[str, list[tuple[str, int]]]]:
    """The bytes of the parts of this model, and of the same one with the other kind of words."""
    found = []
    for kind in ("characters", "table"):
        built = network if kind == task.settings.words else Network(task.vocabulary, replace(task.settings, words=kind))
        parts = {"words": built.words, "LSTM": built.recurrent, "softmax": built.softmax}
        found.append((kind, [(name, count_bytes(part)) for name, part in parts.items()]))
    return found


def _figures(task: TextTask, network: Network) -> tuple[Figure, ...]:
    whole, words = count_bytes(network), count_bytes(network.words)
    table = len(task.vocabulary) * task.settings.word_size * network.softmax.head.weight.element_size()
    figures = [Figure(format_bytes(whole), "parameters of the whole model")]
    if task.settings.words == "characters":
        figures.append(Figure(format_bytes(words), f"encoder of words; a table of {len(task.vocabulary):,} words takes "
                              f"{format_bytes(table)}"))  # fmt: skip
    else:
        figures.append(Figure(format_bytes(words), f"table of {len(task.vocabulary):,} words"))
    return tuple(figures)


def format_bytes(count: int) -> str:
    """Bytes in megabytes.

    Example:
        >>> format_bytes(3_605_468)
        '3.61 MB'
    """
    return f"{count / 1e6:.2f} MB"
