"""`ctc_align`: the best of all paths, ties decided as the contract says, by every frontend that has it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloss import errors, reference
from seqloss.reference import paths

from . import problems
from .frontend import Frontend
from .problems import NAMED, Problem
from .tolerances import UNIT

NAN, INF = np.nan, np.inf
ROUNDING = 10
"""Units that a sure frame's log probability may be off, relatively: the exponentials behind it, as in `tolerances`, and
the answer's own."""

LOGITS = np.round(2 * np.random.default_rng(1).normal(size=(3, 7, 5)), 1)
TARGETS, FRAMES, LABELS = np.array([[1, 2, 2], [3, 4, 0], [1, 0, 0]]), np.array([7, 5, 3]), np.array([3, 2, 1])


def assert_is_the_definition_s(frontend: Frontend, problem: Problem) -> None:
    """Every decision; scores to the rounding of what is answered in."""
    problem = problem.with_logits(frontend.rounded(problem.logits))
    expected = reference.ctc_align(problem.logits, *problem.args, **problem.options)
    found = frontend.align(problem.logits, *problem.args, **problem.options)
    for name in ("classes", "first", "last"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)
    for name in ("scores", "total"):
        values = getattr(found, name)
        assert values.dtype == frontend.computed_in
        rtol = ROUNDING * UNIT[frontend.dtype] if frontend.computed_in == np.float32 else 1e-13
        np.testing.assert_allclose(values, getattr(expected, name), rtol=rtol, atol=1e-13, err_msg=name)


@pytest.mark.parametrize("normalize", [True, False])
@settings(max_examples=problems.examples(60), deadline=None)
@given(data=st.data())
def test_small_batches_are_aligned_as_by_definition(
    aligning_frontend: Frontend, normalize: bool, data: st.DataObject
) -> None:
    problem = data.draw(problems.drawn(aligning_frontend.few_shapes, normalize))
    if not normalize and aligning_frontend.half:
        problem = problem.with_logits(problem.logits - 0.1)
    assert_is_the_definition_s(aligning_frontend, problem)


@pytest.mark.parametrize("name", sorted(NAMED))
def test_large_and_hard_batches_are_aligned_as_by_definition(aligning_frontend: Frontend, name: str) -> None:
    assert_is_the_definition_s(aligning_frontend, NAMED[name])


@pytest.mark.parametrize("frames", range(1, 6))
def test_the_path_is_the_first_among_the_best_of_all(aligning_frontend: Frontend, frames: int) -> None:
    """All paths of 3 classes listed, with scores of few values, so that many tie."""
    targets = [target for length in range(4) for target in itertools.product([1, 2], repeat=length)]
    draws = [-np.random.default_rng(seed).integers(0, 3, (frames, 3)).astype(float) for seed in range(20)]
    rows = list(itertools.product(draws, targets))
    padded = np.array([[*target, *[-1] * (3 - len(target))] for _, target in rows])
    lengths = np.array([len(target) for _, target in rows])
    found = aligning_frontend.align(np.array([logits for logits, _ in rows]), padded, None, lengths)
    for n, (logits, target) in enumerate(rows):
        best = paths.best_path(logits, target)
        assert found.classes[n].tolist() == (best or [-1] * frames), (logits, target)
        spans = paths.label_spans(best, 0) if best else [(-1, -1)] * len(target)
        assert list(zip(found.first[n], found.last[n], strict=True))[: len(target)] == spans


@pytest.mark.parametrize(("infeasible", "total"), [("inf", -INF), ("zero", 0.0)])
def test_a_row_that_no_path_fits_has_none(aligning_frontend: Frontend, infeasible: str, total: float) -> None:
    found = aligning_frontend.align(LOGITS, TARGETS, np.array([3, 5, 3]), LABELS, infeasible=infeasible)
    assert (found.classes[0] == -1).all()
    assert (found.first[0] == -1).all()
    assert (found.scores[0] == 0).all()
    assert found.total[0] == total
    assert np.isfinite(found.total[1:]).all()


def test_infeasible_raise_names_the_row(aligning_frontend: Frontend) -> None:
    with pytest.raises(errors.InfeasibleError, match=r"row 0: .* need 4 frames, found 3"):
        aligning_frontend.align(LOGITS, TARGETS, np.array([3, 5, 3]), LABELS, infeasible="raise")


def test_a_poisoned_row_has_no_path_and_no_other_is_touched(aligning_frontend: Frontend) -> None:
    clean = aligning_frontend.align(LOGITS, TARGETS, FRAMES, LABELS)
    logits = LOGITS.copy()
    logits[1, 2, 0] = NAN
    found = aligning_frontend.align(logits, TARGETS, FRAMES, LABELS)
    assert np.isnan(found.total).tolist() == [False, True, False]
    assert (found.classes[1] == -1).all()
    np.testing.assert_array_equal(found.classes[[0, 2]], clean.classes[[0, 2]])
    np.testing.assert_array_equal(found.total[[0, 2]], clean.total[[0, 2]])


def test_padding_is_never_read(aligning_frontend: Frontend) -> None:
    clean = aligning_frontend.align(LOGITS, TARGETS, FRAMES, LABELS)
    logits = np.where((np.arange(7) < FRAMES[:, None])[:, :, None], LOGITS, NAN)
    targets = np.where(np.arange(3) < LABELS[:, None], TARGETS, -100)
    found = aligning_frontend.align(logits, targets, FRAMES, LABELS)
    for name in ("classes", "first", "last", "scores", "total"):
        np.testing.assert_array_equal(getattr(found, name), getattr(clean, name), name)


def test_a_bad_label_is_refused_or_without_validate_no_path_for_its_row(aligning_frontend: Frontend) -> None:
    targets = TARGETS.copy()
    targets[1, 1] = 5
    with pytest.raises(errors.LabelError, match=r"targets\[1, 1\]: found label 5"):
        aligning_frontend.align(LOGITS, targets, FRAMES, LABELS)
    found = aligning_frontend.align(LOGITS, targets, FRAMES, LABELS, validate=False)
    assert np.isnan(found.total).tolist() == [False, True, False]


def test_a_row_alone_has_the_same_path_and_bits(aligning_frontend: Frontend) -> None:
    problem = problems.random(5, 60, 9, 12)
    whole = aligning_frontend.align(problem.logits, *problem.args)
    for n in range(5):
        frames, labels = problem.logit_lengths[n], problem.target_lengths[n]
        one = aligning_frontend.align(problem.logits[n : n + 1, :frames], problem.targets[n : n + 1, :labels])
        np.testing.assert_array_equal(one.classes[0], whole.classes[n, :frames])
        np.testing.assert_array_equal(one.scores[0], whole.scores[n, :labels])
        assert one.total[0] == whole.total[n]


def test_the_path_collapses_to_the_target_with_labels_in_their_frames(aligning_frontend: Frontend) -> None:
    problem = problems.random(4, 80, 7, 20)
    found = aligning_frontend.align(problem.logits, *problem.args)
    for n in range(4):
        frames, labels = problem.logit_lengths[n], problem.target_lengths[n]
        path = found.classes[n, :frames].tolist()
        assert list(paths.collapse(path)) == problem.targets[n, :labels].tolist()
        assert paths.label_spans(path, 0) == list(zip(found.first[n, :labels], found.last[n, :labels], strict=True))
