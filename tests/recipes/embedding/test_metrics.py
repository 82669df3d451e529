"""Metrics of a whole split equal plain loops over its pairs, however it was cut into batches."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from seqloss.numpy import equal_error_rate
from seqloss.recipes.embedding.items import LabelledBatch
from seqloss.recipes.embedding.metrics import NeighborRecall, PairAccuracy, PairError, SplitMetric
from seqloss.recipes.embedding.neighbors import find_nearest
from seqloss.recipes.embedding.similarity import cosines, negative_divergences

RNG = np.random.default_rng(3)
POINTS = RNG.normal(size=(40, 5))
LABELS = RNG.integers(0, 6, 40)


def fill(metric: SplitMetric, order: list[int], split: str = "test", points: np.ndarray = POINTS) -> SplitMetric:
    for start in range(0, len(order), 7):
        rows = order[start : start + 7]
        labels, numbers = torch.tensor(LABELS[rows]), torch.tensor(rows)
        batch = LabelledBatch(torch.zeros(len(rows), 1), torch.ones(len(rows)), labels, numbers, split)
        metric.update(torch.tensor(points[rows]), batch)
    return metric


def cosine(p: np.ndarray, q: np.ndarray) -> float:
    return float(p @ q / math.sqrt(p @ p) / math.sqrt(q @ q))


def divergence(p: np.ndarray, q: np.ndarray) -> float:
    p, q = np.exp(p) / np.exp(p).sum(), np.exp(q) / np.exp(q).sum()
    return float(sum(a * math.log(a / b) + b * math.log(b / a) for a, b in zip(p, q, strict=True)))


def pairs(focus: int | None = None) -> list[tuple[int, int]]:
    found = [(i, j) for i in range(40) for j in range(i)]
    return [(i, j) for i, j in found if focus is None or focus in (LABELS[i], LABELS[j])]


def test_similarities_equal_plain_loops() -> None:
    expected = [[cosine(p, q) for q in POINTS[:9]] for p in POINTS]
    np.testing.assert_allclose(cosines(POINTS, POINTS[:9]), expected, atol=1e-12)
    expected = [[-divergence(p, q) for q in POINTS[:9]] for p in POINTS]
    np.testing.assert_allclose(negative_divergences(POINTS, POINTS[:9]), expected, atol=1e-12)
    assert cosines(np.zeros((1, 2)), np.ones((1, 2))).tolist() == [[0.0]]


@pytest.mark.parametrize("focus", [None, 2])
def test_the_equal_error_rate_is_that_of_all_pairs_or_of_those_with_the_left_out_label(focus: int | None) -> None:
    found = float(fill(PairError(cosines, focus), list(range(40))).compute())
    points = POINTS.astype(np.float32).astype(float)
    scores = [cosine(points[i], points[j]) for i, j in pairs(focus)]
    same = [bool(LABELS[i] == LABELS[j]) for i, j in pairs(focus)]
    assert found == pytest.approx(equal_error_rate(scores, same), abs=1e-6)


def test_a_label_that_is_not_in_the_split_leaves_no_pair_out() -> None:
    assert (
        fill(PairError(cosines, 99), list(range(40))).compute() == fill(PairError(cosines), list(range(40))).compute()
    )


@pytest.mark.parametrize("metric", [PairError(cosines), NeighborRecall()])
def test_batches_order_and_rows_that_came_twice_change_nothing(metric: SplitMetric) -> None:
    plain = float(fill(metric, list(range(40))).compute())
    metric.reset()
    shuffled = np.random.default_rng(1).permutation(40).tolist()
    assert float(fill(metric, shuffled + shuffled[:5]).compute()) == plain
    assert 0 < plain < 1


def test_the_threshold_of_the_accuracy_is_chosen_on_validation_data_alone() -> None:
    metric = PairAccuracy(cosines)
    assert math.isnan(float(fill(metric, list(range(40)), "test").compute()))
    metric.reset()
    fill(metric, list(range(20)), "validation").compute()
    chosen = metric.threshold
    metric.reset()
    found = float(fill(metric, list(range(20, 40)), "test").compute())
    assert metric.threshold == chosen
    points = POINTS.astype(np.float32).astype(float)
    right = [
        (cosine(points[i], points[j]) >= chosen) == (LABELS[i] == LABELS[j])
        for i in range(20, 40)
        for j in range(20, i)
    ]
    assert found == pytest.approx(np.mean(right))


def test_pairs_of_one_kind_have_no_error_rate() -> None:
    one = [int(np.flatnonzero(label == LABELS)[0]) for label in set(LABELS.tolist())]
    assert math.isnan(float(fill(PairError(cosines), one).compute()))


def test_recall_at_ten_equals_a_plain_loop() -> None:
    shares = []
    for i in range(40):
        others = sorted((j for j in range(40) if j != i), key=lambda j: -cosine(POINTS[i], POINTS[j]))
        same = sum(LABELS[j] == LABELS[i] for j in others)
        if same:
            shares.append(sum(LABELS[j] == LABELS[i] for j in others[:10]) / min(10, same))
    assert float(fill(NeighborRecall(), list(range(40))).compute()) == pytest.approx(np.mean(shares))


def test_the_nearest_are_in_order_without_the_row_itself() -> None:
    points = np.array([[1.0, 0.0], [1.0, 0.1], [1.0, -0.2], [0.0, 1.0]])
    assert find_nearest(points, points).tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [1, 0, 2]]
    assert find_nearest(points[2:3], points, np.array([2])).tolist() == [[0, 1, 3]]
    alike = np.ones((30, 2))
    assert find_nearest(alike, alike)[0].tolist() == find_nearest(alike, alike)[0].tolist()
    assert all(row not in near for row, near in enumerate(find_nearest(alike, alike)))
