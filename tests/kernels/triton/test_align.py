"""Every decision of the Triton kernels for the best path is the CPU kernel's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import triton

from seqloss.contract import validate
from seqloss.kernels.ctc.batch import best_paths as on_the_cpu
from seqloss.kernels.triton.ctc import align


def drawn(seed: int, batch: int, time: int, classes: int, labels: int, few: bool = True) -> tuple[np.ndarray, ...]:
    """Scores of few values, so that many paths tie; uneven rows, some without frames or labels."""
    rng = np.random.default_rng(seed)
    shape = (batch, time, classes)
    scores = rng.integers(-2, 3, shape) if few else 3.0 * rng.standard_normal(shape)
    targets = rng.integers(1, classes, (batch, labels))
    frames, counts = rng.integers(0, time + 1, batch), rng.integers(0, labels + 1, batch)
    frames[0], counts[0] = time, min(labels, time // 2)
    return scores.astype(np.float32), targets, frames, counts


def check(
    device: torch.device, logits: torch.Tensor, targets: Any, frames: Any, counts: Any, blank: int = 0,
    normalize: bool = True,
) -> Any:  # fmt: skip
    """Hold the kernels' answer against the CPU's."""
    rest = [torch.as_tensor(array).to(device) for array in (targets, frames, counts)]
    found = align.best_paths(logits.to(device), *rest, blank=blank, normalize=normalize)
    values = logits.float().numpy()
    batch = validate(values.shape, np.asarray(targets), frames, counts, blank=blank, values=False)
    expected = on_the_cpu(values, batch, normalize=normalize)
    for name in ("classes", "first", "last"):
        np.testing.assert_array_equal(getattr(found, name).cpu(), getattr(expected, name), name)
    for name in ("scores", "totals"):
        wanted = getattr(expected, name)
        np.testing.assert_allclose(getattr(found, name).cpu(), wanted, rtol=10 * 2.0**-24, atol=1e-13, err_msg=name)
    return found


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("seed", range(12))
def test_every_decision_among_ties_is_that_of_the_cpu(device: torch.device, seed: int, normalize: bool) -> None:
    rng = np.random.default_rng(seed + 100)
    shape = rng.integers(1, 7), rng.integers(0, 24), rng.integers(2, 6), rng.integers(0, 9)
    scores, *rest = drawn(seed, *map(int, shape))
    if seed % 3 == 0:
        scores[rng.random(scores.shape) < 0.1] = -np.inf
    check(device, torch.from_numpy(scores), *rest, normalize=normalize)


@pytest.mark.parametrize(("lanes", "parts"), [(1, 1), (2, 1), (1, 4), (4, 2), (2, 4)])
def test_a_target_of_several_tiles_has_the_same_path(
    device: torch.device, lanes: int, parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(align, "_lanes_and_parts", lambda device, columns: (lanes, parts))
    for seed in range(2):
        scores, *rest = drawn(seed, 5, 14, 4, 7)
        check(device, torch.from_numpy(scores), *rest)


def test_ordinary_scores_of_long_rows_have_the_path_of_the_cpu(device: torch.device) -> None:
    scores, *rest = drawn(0, 3, 150, 20, 40, few=False)
    found = check(device, torch.from_numpy(scores), *rest)
    assert torch.isfinite(found.totals[0])


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_types_are_read_as_they_are(device: torch.device, kind: torch.dtype) -> None:
    scores, *rest = drawn(1, 4, 20, 7, 5, few=False)
    check(device, torch.from_numpy(scores).to(kind), *rest)


def test_strides_do_not_matter(device: torch.device) -> None:
    scores, targets, frames, counts = drawn(2, 4, 15, 6, 5)
    turned = torch.from_numpy(scores).permute(1, 2, 0).contiguous().permute(2, 0, 1)
    spread = torch.from_numpy(np.repeat(scores, 2, axis=2))[:, :, ::2]
    for logits in (turned, spread):
        assert not logits.is_contiguous()
        check(device, logits, targets, frames, counts)


def test_targets_and_lengths_may_be_of_any_integer_type_and_stride(device: torch.device) -> None:
    scores, targets, frames, counts = drawn(3, 4, 15, 6, 5)
    wide = torch.from_numpy(np.repeat(targets, 3, axis=1).astype(np.int16))[:, ::3]
    check(device, torch.from_numpy(scores), wide, frames.astype(np.int32), counts.astype(np.uint8))


def test_the_blank_may_be_any_class(device: torch.device) -> None:
    scores, targets, *rest = drawn(4, 4, 15, 6, 5)
    check(device, torch.from_numpy(scores), targets - 1, *rest, blank=5)


def test_nan_inf_and_closed_frames_spoil_their_own_row_alone(device: torch.device) -> None:
    scores, targets, *_ = drawn(5, 5, 9, 4, 3)
    scores[1, 4, 0], scores[2, 8, 3], scores[3, 0] = np.nan, np.inf, -np.inf
    found = check(device, torch.from_numpy(scores), targets, np.full(5, 9), np.full(5, 3))
    assert torch.isnan(found.totals).tolist() == [False, True, True, True, False]


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("mask", [-9e7, -2e8, float(np.finfo(np.float32).min)])
def test_a_class_far_below_its_frame_is_closed(device: torch.device, mask: float, normalize: bool) -> None:
    scores, targets, *_ = drawn(9, 3, 8, 4, 3)
    scores[0, 2:6, 1:], scores[1, :, 0], scores[2, 3] = mask, mask, mask
    found = check(device, torch.from_numpy(scores - 3.0), targets, np.full(3, 8), np.full(3, 3), normalize=normalize)
    assert torch.isfinite(found.totals[0])


def test_a_label_that_fills_its_row_does_not_run_into_the_next_one(device: torch.device) -> None:
    scores = torch.zeros(3, 4, 2)
    scores[:, :, 1] = 5.0
    found = check(device, scores, np.ones((3, 1), np.int64), np.full(3, 4), np.ones(3, np.int64))
    assert (found.first.flatten().tolist(), found.last.flatten().tolist()) == ([0] * 3, [3] * 3)


def test_without_softmax_scores_are_added_up_as_they_stand(device: torch.device) -> None:
    """Relative to the frame's largest, a class that no path shows there, the first two would be equal."""
    scores = torch.zeros(1, 3, 3)
    scores[0, 0] = torch.tensor([2e-20, 1e-20, 5.0])
    found = check(device, scores, [[1, 2]], np.array([3]), np.array([2]), normalize=False)
    assert found.classes.tolist() == [[0, 1, 2]]


def test_padding_is_not_read(device: torch.device) -> None:
    scores, targets, frames, counts = drawn(6, 5, 12, 4, 4)
    scores[np.arange(12) >= frames[:, None]] = np.nan
    targets[np.arange(4) >= counts[:, None]] = -100
    found = check(device, torch.from_numpy(scores), targets, frames, counts)
    assert not torch.isnan(found.totals).any()


def test_rows_that_break_the_contract_are_nan_and_nothing_outside_is_read(device: torch.device) -> None:
    scores, targets, frames, counts = drawn(7, 7, 12, 4, 4)
    frames[:], counts[:] = 12, 4
    targets[1, 2], targets[2, 0], targets[3, 3] = 4, -7, 0
    frames[4], frames[5], counts[6] = 13, -1, 5
    found = check(device, torch.from_numpy(scores), targets, frames, counts)
    assert torch.isnan(found.totals).tolist() == [False, *[True] * 6]


@pytest.mark.parametrize("shape", [(0, 4, 3, 2), (2, 0, 3, 2), (2, 0, 3, 0), (2, 4, 1, 0)], ids=str)
def test_empty_axes_work(device: torch.device, shape: tuple[int, int, int, int]) -> None:
    batch, time, classes, labels = shape
    logits, targets = torch.zeros(batch, time, classes), np.ones((batch, labels), np.int64)
    check(device, logits, targets, np.full(batch, time), np.full(batch, labels))


def test_a_row_alone_has_the_same_bits(device: torch.device) -> None:
    scores, targets, frames, counts = drawn(8, 4, 30, 6, 6, few=False)

    def paths(n: slice, *args: Any) -> Any:
        cut = [torch.as_tensor(array[n]).to(device) for array in (scores, targets, frames, counts)]
        return align.best_paths(*cut, blank=0, normalize=True)

    whole = paths(slice(None))
    for n in range(4):
        for one, all_ in zip(paths(slice(n, n + 1)), whole, strict=True):
            assert torch.equal(one[0].nan_to_num(7.0), all_[n].nan_to_num(7.0))


def test_all_kernels_compile_for_a_gpu_and_what_a_row_carries_stays_in_registers(readers: list[dict[str, Any]]) -> None:
    assert {"best_steps", "follow_steps", "read_path", "_label_sums", "_row_sums"} <= {
        kernel["name"] for kernel in readers
    }
    for kernel in (kernel for kernel in readers if kernel["name"] == "best_steps"):
        assert kernel["stack"] == 0
        assert kernel["whole"]["barriers"] == 0
        assert kernel["whole"]["shuffles"] <= (23 if triton.__version__.startswith("3.6.") else 18)
