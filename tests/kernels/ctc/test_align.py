"""The best paths do not depend on what the kernel stores, nor on the threads; the decisions are the definition's.

Scores are small integers in most of these tests, so that most decisions are ties.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import seqloss
from seqloss import contract, errors, reference
from seqloss.kernels.ctc import batch as ctc_batch
from seqloss.kernels.ctc import checkpoints
from seqloss.kernels.ctc.batch import BestPaths, best_paths
from seqloss.kernels.ctc.rows import Path
from seqloss.kernels.numba import threads, workspace

RESULTS = ("classes", "first", "last", "scores", "totals", "paths")
CLASSES = 4


@pytest.fixture(autouse=True)
def setting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(threads, "_count", None)
    yield
    monkeypatch.setattr(threads, "_pool", None)


def draw(
    frames: int, labels: int, *, rows: int = 3, seed: int = 0, classes: int = CLASSES, masked: float = 0.0
) -> tuple[np.ndarray, contract.Batch]:
    """Log-probabilities of rows of the same lengths, with many ties."""
    rng = np.random.default_rng((seed, frames, labels))
    logits = rng.integers(-11, -8, (rows, frames, classes)).astype(np.float32)
    logits[rng.random(logits.shape) < masked] = -np.inf
    logits[:, :, 0] = np.maximum(logits[:, :, 0], -12)  # the blank is not masked
    return logits, contract.validate(logits.shape, rng.integers(1, classes, (rows, labels)))


def assert_same_bits(found: BestPaths, expected: BestPaths) -> None:
    for name in RESULTS:
        assert getattr(found, name).tobytes() == getattr(expected, name).tobytes(), name


def assert_are_the_definition_s(found: BestPaths, logits: np.ndarray, batch: contract.Batch, normalize: bool) -> None:
    lengths = batch.logit_lengths, batch.target_lengths
    expected = reference.ctc_align(logits, batch.targets, *lengths, normalize=normalize)
    for name in ("classes", "first", "last"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)
    np.testing.assert_allclose(found.totals, expected.total, rtol=1e-5)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("labels", range(11))
def test_with_any_distance_of_checkpoints_ties_are_decided_as_by_definition(labels: int, normalize: bool) -> None:
    for frames in range(labels, 20):
        logits, batch = draw(frames, labels, masked=0.1)
        expected = best_paths(logits, batch, normalize=normalize, distance=frames + 1)
        assert_are_the_definition_s(expected, logits, batch, normalize)
        for distance in range(1, frames + 1):
            assert_same_bits(best_paths(logits, batch, normalize=normalize, distance=distance), expected)


@pytest.mark.parametrize("labels", [1, 7, 8, 9, 15, 16, 17, 40])
@pytest.mark.parametrize("distance", [1, 3, 8, 13, 16, 64, None])
def test_long_rows_are_decided_as_by_definition(labels: int, distance: int | None) -> None:
    for frames in (2 * labels, 97, 200):
        logits, batch = draw(frames, labels)
        found = best_paths(logits, batch, distance=distance)
        assert (found.paths == Path.FAST).any()
        assert_are_the_definition_s(found, logits, batch, True)


@pytest.mark.parametrize("distance", [1, 5, 8, 16, None])
@pytest.mark.parametrize("missing", [0, 1, 5, 30])
def test_a_target_that_just_fits_has_its_only_path_and_a_longer_one_has_none(missing: int, distance: int) -> None:
    labels = 70
    target = np.where(np.arange(labels) % 3 == 2, 2, 1)  # 1 1 2: one in three repeats
    needed = labels + int((target[1:] == target[:-1]).sum())
    frames = needed - missing
    logits = np.zeros((1, frames, 3))
    found = best_paths(logits, contract.validate(logits.shape, target[None]), distance=distance)
    if missing:
        assert found.paths[0] == Path.INFEASIBLE
        assert (found.classes == -1).all()
        assert found.totals[0] == -np.inf
    else:
        path = found.classes[0]
        assert path[path != 0].tolist() == target.tolist()
        np.testing.assert_array_equal(found.first, found.last)


@pytest.mark.parametrize("frame", [0, 1, 30, 63, 64, 65, 99])
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("score", [np.nan, np.inf])
@pytest.mark.parametrize("last", [False, True])
def test_a_non_finite_score_is_found_in_any_frame(frame: int, normalize: bool, score: float, last: bool) -> None:
    logits, batch = draw(100, 20)
    logits[1, frame, CLASSES - 1 if last else 0] = score
    assert best_paths(logits, batch, normalize=normalize).paths.tolist() == [Path.FAST, Path.NON_FINITE, Path.FAST]


@pytest.mark.parametrize("classes", [4, 300])
@pytest.mark.parametrize("normalize", [True, False])
def test_scores_that_are_not_kept_give_the_same_bits(monkeypatch, normalize: bool, classes: int) -> None:
    logits, batch = draw(150, 60, classes=classes, masked=0.05)
    kept = best_paths(logits, batch, normalize=normalize)
    monkeypatch.setattr(checkpoints, "KEPT_BYTES", 0)
    assert_same_bits(best_paths(logits, batch, normalize=normalize), kept)
    assert_same_bits(best_paths(logits, batch, normalize=normalize, distance=7), kept)
    assert_are_the_definition_s(kept, logits, batch, normalize)


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_any_number_of_threads_gives_the_same_paths(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(ctc_batch, "WORTH_A_THREAD", 1.0)
    rng = np.random.default_rng(0)
    logits = rng.integers(-2, 1, (13, 300, 6)).astype(np.float32)
    batch = contract.validate(logits.shape, rng.integers(1, 6, (13, 50)), rng.integers(100, 301, 13))
    seqloss.set_num_threads(1)
    alone = best_paths(logits, batch)
    seqloss.set_num_threads(count)
    assert_same_bits(best_paths(logits, batch), alone)


@pytest.mark.parametrize(
    ("frames", "labels"), [(0, 0), (1, 0), (1, 1), (300, 40), (100_000, 1), (180_000, 40_000), (10**6, 500_000)]
)
def test_scratch_takes_at_most_so_many_bytes_for_a_frame_and_state(frames: int, labels: int) -> None:
    sizes = checkpoints.Sizes(frames, labels, 40, checkpoints.choose_distance(frames, labels))
    cells = frames * (2 * labels + 1)
    few = 2**18 + 8 * 2 * frames + 8 * 4 * labels + checkpoints.KEPT_BYTES  # what has a few per frame, label or class
    assert sizes.bytes <= 21 * cells ** (2 / 3) + 8 * 16 * labels / 4 + few


def test_too_little_memory_is_an_error_that_names_the_row(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = np.zeros((3, 5000, 3), np.float32)
    batch = contract.validate(logits.shape, np.ones((3, 2000), int), [900, 5000, 5000], [400, 2000, 400])

    def allocate(size: int, dtype: np.dtype) -> np.ndarray:
        if size * np.dtype(dtype).itemsize > 500_000:
            raise MemoryError
        return np.empty(size, dtype)

    workspace.release_workspace()
    monkeypatch.setattr(workspace, "allocate", allocate)
    with pytest.raises(errors.OutOfMemoryError, match=r"row 1: to align 5000 frames with 2000 labels, [1-9] MB are"):
        best_paths(logits, batch)
    short = logits[:, :900], contract.validate((3, 900, 3), np.ones((3, 400), int))
    assert (best_paths(*short).paths == Path.FAST).all()
