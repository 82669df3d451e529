"""The fast path and the wide numbers behind it agree; each of its bounds sends a row there, and not before it must."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from seqloss import contract
from seqloss.kernels.ctc import blocks, huge_rows, layout
from seqloss.kernels.ctc.batch import loss_and_grad
from seqloss.kernels.ctc.blocks import DEEPEST, FURTHEST, LONGEST, RAISED, WIDEST, ZERO_EXPONENT
from seqloss.kernels.ctc.rows import Path
from seqloss.kernels.numba import workspace
from seqloss.kernels.numba.vectors import load, store, to_int32

from .extended_rows import leave_all_rows_to_extended_exponents

BITS = math.log(2.0)
"""A score this much lower is a probability half as large."""


def in_wide_numbers(*args, **options):
    with pytest.MonkeyPatch.context() as patch:
        leave_all_rows_to_extended_exponents(patch)
        return loss_and_grad(*args, **options)


def from_both_ends(*args, **options):
    """Every row as a huge one is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(huge_rows, "HUGE", -1.0)
        return loss_and_grad(*args, **options)


def agree(logits: np.ndarray, targets: np.ndarray, *lengths, path: int | None = None, **options) -> np.ndarray:
    """Hold the fast path's losses and gradients, and those from both ends, against wide numbers; the rows' paths."""
    batch = contract.validate(logits.shape, targets, *lengths)
    _, paths, _ = loss_and_grad(logits, batch, **options)
    exact, wide, exact_gradient = in_wide_numbers(logits, batch, **options)
    assert not (wide == Path.FAST).any()
    if path is not None:
        assert paths.tolist() == [path] * len(paths)
    for way in (loss_and_grad, from_both_ends):
        losses, _, gradient = way(logits, batch, **options)
        np.testing.assert_allclose(losses, exact, rtol=1e-14, atol=1e-15 * logits.shape[1])
        np.testing.assert_allclose(gradient, exact_gradient, rtol=1e-9, atol=1e-14)
        assert way(logits, batch, gradient=False, **options)[0].tobytes() == losses.tobytes()
    return paths


@st.composite
def problems(draw):
    """Batches of every temper: flat, sure, masked, and with steps of hundreds of bits between neighbours."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    frames, classes = draw(st.integers(1, 60)), draw(st.sampled_from([2, 3, 8, 9, 30, 100]))
    labels = draw(st.integers(0, min(40, frames)))
    kind = draw(st.sampled_from(["normal", "steps", "peaks"]))
    scale = draw(st.sampled_from([0.01, 1.0, 5.0, 30.0]))
    logits = scale * rng.standard_normal((2, frames, classes))
    if kind == "steps":
        steps = draw(st.lists(st.sampled_from([0, 1, 30, 90, 160, 240, 400, 470]), min_size=1, max_size=4))
        logits -= BITS * rng.choice(steps, logits.shape)
    elif kind == "peaks":
        logits[np.arange(2)[:, None], np.arange(frames), rng.integers(0, classes, (2, frames))] += 25.0
    if draw(st.booleans()):
        logits[rng.random(logits.shape) < draw(st.sampled_from([0.02, 0.3]))] = -np.inf
        logits[:, :, draw(st.integers(0, classes - 1))] = 0.0
    return logits, rng.integers(1, classes, (2, labels))


@settings(deadline=None, max_examples=300)
@given(problems())
def test_no_batch_is_found_on_which_the_two_paths_disagree(problem) -> None:
    agree(*problem)


@pytest.mark.parametrize(("bits", "path"), [(DEEPEST - 0.001, Path.FAST), (DEEPEST + 0.001, Path.DEEP)])
@pytest.mark.parametrize("classes", [4, 40])
def test_a_class_in_use_may_be_so_unlikely_and_no_more(bits, path, classes) -> None:
    logits = np.zeros((1, 30, classes))
    logits[0, 7, 1] = -bits * BITS
    agree(logits, np.array([[1, 2]]), path=path)


@pytest.mark.parametrize("value", [-np.inf, -1e9, -3e38])
@pytest.mark.parametrize("classes", [4, 40])
def test_a_masked_class_and_one_not_in_use_are_not_deep(value, classes) -> None:
    logits = np.zeros((1, 30, classes))
    logits[0, 7, 1] = value
    logits[0, 9, 3] = -1e6
    agree(logits, np.array([[1, 2]]), path=Path.FAST)


def test_states_that_drift_apart_are_steep() -> None:
    """Each frame takes 400 bits from the path of blanks alone, and nothing from the label's."""
    logits = np.zeros((1, 3, 4))
    logits[:, :, 0] = -400 * BITS
    agree(logits[:, :2], np.array([[1]]), path=Path.FAST)
    logits = np.zeros((1, 5, 4))
    logits[:, :, 0] = -400 * BITS
    agree(logits, np.array([[1]]), path=Path.STEEP)


@pytest.mark.parametrize("classes", [6, 60])
def test_a_backward_pass_that_leaves_float64_is_uncertain_and_computed_again(classes) -> None:
    """Behind a label that is closed for 99 frames all is free, before it each frame takes 100 bits: β at the wall is
    2^9900 times what it is where paths can be, and the wall's forward sum is 0."""
    logits = np.zeros((1, 110, classes))
    logits[0, :, 4:] = -3.0
    logits[0, :99, :2] = -100 * BITS
    logits[0, :99, 2] = -np.inf
    agree(logits, np.array([[1, 2, 3]]), path=Path.UNCERTAIN)


@njit
def choose(row, space, last, k, depth):
    return blocks.try_block(row, space, 0, 0, 0, 0, 0, last, k, depth)


def chosen(highest, lowest=None, k=3, depth=0.0):
    """What a block takes for exponents and scales, given those of single labels; whether it does.

    A label is 2^highest and its blank 2^lowest, both about their mean; NOTHING stands for 0.
    """
    labels = len(highest)
    width = layout.chunk_count(labels) * layout.LANES
    lowest = highest if lowest is None else lowest
    states, exponents, scales = np.zeros(2 * width), np.zeros(width, int), np.full(width, np.nan)
    for place, (high, low) in enumerate(zip(highest, lowest, strict=True)):
        if high != ZERO_EXPONENT:
            exponents[place] = (high + low) // 2
            states[place], states[width + place] = (math.ldexp(1.0, int(e - exponents[place])) for e in (high, low))
    there = exponents.copy()
    floats, integers = np.zeros(2 * width), np.zeros(width, int)
    row = blocks.Row(1, 1, labels, 0, 8, integers, floats, floats, floats, 0, 1)
    opened = np.full(2 * width, np.nan)
    space = blocks.Space(
        states, opened, exponents, floats, integers, integers, floats, scales, floats, integers, floats, floats, floats
    )
    holds = choose(row, space, width // layout.LANES - 1, k, depth)
    if holds:
        for place in range(2 * width):
            own = exponents[place % width]
            assert opened[place] == (
                math.ldexp(states[place], int(there[place % width] - own)) if own != ZERO_EXPONENT else 0.0
            )
    return holds, exponents[:labels].tolist(), scales[:labels].tolist()


@pytest.mark.parametrize(("k", "window"), [(1, 2), (2, 4), (3, 4), (7, 8), (8, 16), (15, 16)])
def test_a_label_has_the_largest_exponent_of_its_window_less_the_raise(k, window) -> None:
    highest = [40 - 3 * place for place in range(40)]
    highest[21] = 100
    holds, exponents, scales = chosen(highest, k=k)
    assert holds
    assert exponents == [max(highest[max(0, place - window + 1) : place + 1]) - RAISED for place in range(40)]
    assert scales == [0.0, *(2.0 ** (exponents[place - 1] - exponents[place]) for place in range(1, 40))]


def test_a_label_whose_window_is_empty_takes_no_part() -> None:
    holds, exponents, scales = chosen([5, ZERO_EXPONENT, ZERO_EXPONENT, ZERO_EXPONENT, 3], k=1)
    assert holds
    assert exponents == [5 - RAISED, 5 - RAISED, ZERO_EXPONENT, ZERO_EXPONENT, 3 - RAISED]
    assert scales == [0.0, 1.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize(("lowest", "depth"), [(-WIDEST + 480, 480.0), (-WIDEST, 0.0), (-WIDEST + 7, 6.5)])
@pytest.mark.parametrize("label", [0, 7, 8, 30])
def test_a_window_may_span_so_much_and_no_more(lowest, depth, label) -> None:
    highest = [0] * 31
    for least in (lowest, lowest - 1):
        single = [0] * 31
        single[label] = least
        assert chosen(highest, single, depth=depth)[0] == (least == lowest)


@pytest.mark.parametrize("label", [1, 7, 8, 9, 16])
def test_neighbouring_exponents_may_be_so_far_apart_and_no_further(label) -> None:
    for apart in (FURTHEST, FURTHEST + 1):
        holds, _, scales = chosen([0] * label + [apart] * 4, k=1)
        assert holds == (apart == FURTHEST)
        if holds:
            assert scales[label] == 2.0**-FURTHEST


@njit
def scale(x, up):
    store(x, 0, blocks.scale_by_power(load(x, 0), to_int32(load(up, 0))))


def test_a_step_of_more_than_a_power_of_two_can_be_is_made_in_two() -> None:
    x = np.array([2.0**-1000, 2.0**1000, 1.5, 0.0, 0.0, 2.0**-700, 2.0**500, 1.0])
    up = np.array([1990, -1990, 3, 2**30, -(2**30), 1500, -1500, 0])
    scale(x, up)
    assert x.tolist() == [2.0**990, 2.0**-990, 12.0, 0.0, 0.0, 2.0**800, 2.0**-1000, 1.0]


@pytest.mark.parametrize("shape", [(4500, 40, 30), (700, 9, 300), (2500, 200, 90)])
@pytest.mark.parametrize("scale", [0.3, 3.0])
def test_a_row_that_is_summed_again_segment_by_segment_agrees(shape, scale) -> None:
    frames, classes, labels = shape
    assert layout.segment_frames(frames, labels) < frames
    rng = np.random.default_rng(frames)
    logits = scale * rng.standard_normal((2, frames, classes))
    agree(logits, rng.integers(1, classes, (2, labels)), np.array([frames, frames - 33]), path=Path.FAST)


@pytest.mark.parametrize(("frames", "path"), [(LONGEST, Path.FAST), (LONGEST + 1, Path.DEEP)])
def test_exponents_of_32_bits_take_so_many_frames_and_no_more(frames, path, monkeypatch) -> None:
    """Each frame takes 479 bits from every path; the row is summed from one end."""
    monkeypatch.setattr(huge_rows, "HUGE", math.inf)
    logits = np.zeros((1, frames, 3), np.float32)
    logits[:, :, :2] = -479 * BITS
    batch = contract.validate(logits.shape, np.array([[1]]))
    losses, paths, _ = loss_and_grad(logits, batch, gradient=False)
    assert paths.tolist() == [path]
    assert losses[0] == pytest.approx(frames * 479 * BITS - math.log(frames * (frames + 1) / 2), rel=1e-6)


@pytest.mark.parametrize("margin", [5.0, 20.0])
def test_a_confident_model_of_a_long_target_visits_a_band_and_loses_nothing(margin) -> None:
    frames, labels = 2000, 400
    rng = np.random.default_rng(0)
    logits, targets = rng.standard_normal((1, frames, 30)), rng.integers(1, 30, (1, labels))
    logits[0, :, 0] += margin
    for place, label in enumerate(targets[0]):
        logits[0, 5 * place + 2, label] += 2 * margin
    agree(logits, targets, path=Path.FAST)


@pytest.mark.parametrize("shape", [(4, 4000, 32, 800), (16, 800, 32, 120), (16, 250, 5000, 50)])
def test_scratch_stays_under_8_megabytes_a_thread(shape) -> None:
    rows, frames, classes, labels = shape
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((rows, frames, classes)).astype(np.float32)
    loss_and_grad(logits, contract.validate(logits.shape, rng.integers(1, classes, (rows, labels))))
    assert 0 < sum(array.nbytes for array in workspace._kept.arrays.values()) < 8e6
