"""The list of paths, by hand: small enough to count on paper."""

import math

import numpy as np
import pytest

from seqloss.reference import paths


@pytest.mark.parametrize(
    ("path", "blank", "labels"),
    [
        ([], 0, ()),
        ([0, 0, 0], 0, ()),
        ([1, 1, 2], 0, (1, 2)),
        ([1, 0, 1], 0, (1, 1)),
        ([0, 1, 0], 1, (0, 0)),
        ([2, 2, 0, 1], 2, (0, 1)),
    ],
)
def test_collapse_joins_equal_neighbours_then_drops_blanks(
    path: list[int], blank: int, labels: tuple[int, ...]
) -> None:
    assert paths.collapse(path, blank) == labels


@pytest.mark.parametrize(("frames", "classes"), [(0, 3), (1, 1), (4, 3), (5, 4)])
def test_groups_hold_each_path_once(frames: int, classes: int) -> None:
    listed = [tuple(path) for group in paths.paths_by_target(frames, classes).values() for path in group.tolist()]
    assert len(listed) == len(set(listed)) == classes**frames


def test_a_target_with_a_repeat_needs_the_blank_between() -> None:
    assert paths.paths_of_target(np.zeros((3, 2)), [1, 1]).tolist() == [[1, 0, 1]]
    assert paths.paths_of_target(np.zeros((2, 2)), [1, 1]).shape == (0, 2)


def test_total_of_a_target_that_nothing_fits_is_minus_infinity() -> None:
    assert paths.log_probability(np.zeros((1, 3)), [1, 2]) == -math.inf
    assert paths.log_probability(np.array([[0.0, -np.inf]]), [1]) == -math.inf
    assert not paths.posteriors(np.zeros((1, 3)), [1, 2]).any()
    assert paths.best_path(np.array([[0.0, -np.inf]]), [1]) is None


def test_totals_of_all_targets_add_up_to_one() -> None:
    log_probs = np.log(np.random.default_rng(0).dirichlet(np.ones(3), size=5))
    everything = math.fsum(math.exp(paths.log_probability(log_probs, target)) for target in paths.paths_by_target(5, 3))
    assert everything == pytest.approx(1.0, abs=1e-15)


def test_posteriors_of_a_frame_add_up_to_one() -> None:
    log_probs = np.log(np.random.default_rng(1).dirichlet(np.ones(3), size=4))
    np.testing.assert_allclose(paths.posteriors(log_probs, [2, 1]).sum(axis=1), 1.0, rtol=1e-14)


@pytest.mark.parametrize(
    ("target", "path"),
    [([1, 2], [1, 2, 0, 0]), ([1, 1], [1, 0, 1, 0]), ([], [0, 0, 0, 0])],
)
def test_among_equal_paths_labels_start_early_and_are_short(target: list[int], path: list[int]) -> None:
    assert paths.best_path(np.zeros((4, 3)), target) == path


def test_an_early_second_start_outranks_a_short_first_label() -> None:
    scores = np.zeros((3, 3))
    scores[1, 0] = -np.inf  # label 1 may not end in a blank here, but it may be long, or 2 may start
    assert paths.best_path(scores, [1, 2]) == [1, 2, 0]
    scores[1, 2] = -np.inf
    assert paths.best_path(scores, [1, 2]) == [1, 1, 2]
