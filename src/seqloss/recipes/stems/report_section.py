"""The section of the report that the stems recipe adds: held-out words with their nearest ten."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np

from seqloss.errors import DataError, OptionError, RunError
from seqloss.recipes.embedding.neighbors import choose_with_others, find_nearest, neighbor_recall
from seqloss.recipes.embedding.report_items import embed_source
from seqloss.recipes.embedding.task import EmbeddingTask
from seqloss.recipes.stems.data import Words
from seqloss.report.record import RunRecord
from seqloss.report.section import Block, Figure, render_template
from seqloss.training.predictor import Predictor

SHOWN = 24
"""Words in the table."""


def neighbors_section(record: RunRecord) -> Iterator[Block]:
    """Test words, each with the nearest ten of all words, also those of training; or why there are none."""
    try:
        values = _read(record, cast(EmbeddingTask, record.task))
    except (RunError, DataError, OptionError, ImportError, OSError) as problem:
        values = {"rows": None, "trouble": str(problem).splitlines()[0].rstrip(":"), "figures": ()}
    html = render_template("seqloss.recipes.stems", "neighbors.html", **values)
    yield Block("Nearest words", html, values["figures"])


def _read(record: RunRecord, task: EmbeddingTask) -> dict[str, Any]:
    predictor = Predictor(task, record.run)
    sources = [cast(Words, source) for _, source in sorted(task.load_data().sources.items())]  # the test split first
    found = [embed_source(predictor, task, source) for source in sources]
    words = [word for source in sources for word in source.words]
    embeddings = np.concatenate([part.embeddings for part in found])
    labels = np.concatenate([part.labels for part in found])
    tested = np.arange(len(sources[0]))
    nearest = find_nearest(embeddings[tested], embeddings, tested)
    recall = neighbor_recall(labels[tested], labels, nearest)
    figure = Figure(f"{recall:.2%}", f"recall at ten of test words among all {len(words)} words")
    rows = [
        (words[row], [(words[place], bool(labels[place] == labels[row])) for place in nearest[row]], int(others))
        for row, others in zip(*choose_with_others(labels[tested], SHOWN), strict=True)
    ]  # a stem is in one split with all its words
    return {"rows": rows, "count": len(words), "figures": (figure,)}
