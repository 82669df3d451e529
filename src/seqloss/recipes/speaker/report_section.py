"""The section of the report that the speaker recipe adds: the embedding in two dimensions, and the left-out speaker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import numpy as np
from markupsafe import Markup

from seqloss.errors import DataError, RunError
from seqloss.recipes.embedding.report_items import embed_source, principal_components
from seqloss.recipes.embedding.task import EmbeddingTask
from seqloss.recipes.speaker.data import LEFT_OUT, Recordings
from seqloss.recipes.speaker.report_drawing import draw_speakers
from seqloss.report.record import RunRecord
from seqloss.report.section import Block, Figure, render_template
from seqloss.training.predictor import Predictor


def embedding_section(record: RunRecord) -> Iterator[Block]:
    """Held-out recordings in the plane of the first two principal components; or why there are none."""
    try:
        values = _read(record, cast(EmbeddingTask, record.task))
    except (RunError, DataError, OSError) as problem:
        values = {"drawn": None, "trouble": str(problem).splitlines()[0].rstrip(":")}
    yield Block("Embedding", render_template("seqloss.recipes.speaker", "embedding.html", **values), _figures(record))


def _read(record: RunRecord, task: EmbeddingTask) -> dict[str, Any]:
    predictor = Predictor(task, record.run)
    sources = task.load_data(skip_bad=True).sources
    split = next(name for name in (LEFT_OUT, "test", "validation", "train") if name in sources)
    source = cast(Recordings, sources[split]).without_augmentation()
    found = embed_source(predictor, task, source)
    names = {number: name for name, number in source.labels.items()}
    left_out = record.saved.get("leave_out")
    points, shares = principal_components(task.to_points(found.embeddings))
    speakers = np.array([names[label] for label in found.labels])
    drawn = Markup(draw_speakers(points, speakers, shares, left_out))
    kind = "test" if split == LEFT_OUT else split.replace("train", "training")
    return {"drawn": drawn, "kind": kind, "count": len(points), "left_out": left_out}


def _figures(record: RunRecord) -> tuple[Figure, ...]:
    """Numbers of the test and of the left-out speaker, for the top of the page."""
    result: Mapping[str, Any] = record.result or {}
    found = []
    for name, words in (("test", "test recordings"), (LEFT_OUT, f"speaker {record.saved.get('leave_out')}")):
        for metric in record.task.metrics:
            if name in result and (name, metric.name) != ("test", record.task.monitor):  # the summary has that one
                found.append(Figure(metric.format.format(result[name][metric.name]), f"{metric.label}, {words}"))
    return tuple(found)
