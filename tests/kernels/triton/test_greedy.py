"""What the Triton kernels read off the best classes is what the host reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from seqloss.kernels.triton.ctc import greedy
from seqloss.numpy import ctc_greedy as on_the_cpu


def drawn(seed: int, batch: int, time: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores of few values, so that classes tie and runs are long; uneven rows."""
    rng = np.random.default_rng(seed)
    return rng.integers(-1, 2, (batch, time, classes)).astype(np.float32), rng.integers(0, time + 1, batch)


def check(device: torch.device, logits: torch.Tensor, frames: Any, blank: int = 0, normalize: bool = True) -> Any:
    found = greedy.read_labels(logits.to(device), torch.as_tensor(frames).to(device), blank=blank, normalize=normalize)
    found = greedy.split_reading(found.whole.cpu())
    expected = on_the_cpu(logits.float().numpy(), frames, blank=blank, normalize=normalize)
    for n, row in enumerate(expected):
        count = int(found.counts[n])
        for name in ("labels", "first", "last"):
            np.testing.assert_array_equal(getattr(found, name)[n, :count], getattr(row, name), name)
        np.testing.assert_allclose(found.label_scores[n, :count], row.label_scores, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(float(found.scores[n]), row.score, rtol=1e-12, atol=1e-15)
    assert found.lengths.tolist() == list(frames)
    return found


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("seed", range(10))
def test_every_label_and_frame_is_the_host_s(device: torch.device, seed: int, normalize: bool) -> None:
    rng = np.random.default_rng(seed)
    scores, frames = drawn(seed, int(rng.integers(1, 6)), int(rng.integers(0, 40)), int(rng.integers(1, 6)))
    if not normalize:  # of a frame by one number, so that classes still tie
        scores -= np.log(np.exp(scores).sum(axis=2, keepdims=True))
    check(device, torch.from_numpy(scores), frames, int(rng.integers(scores.shape[2])), normalize)


def test_a_run_may_cross_the_blocks_that_time_is_read_in(device: torch.device) -> None:
    scores = np.zeros((2, 3000, 3), np.float32)
    scores[:, :, 0] = 15.0  # sure blanks, so that the host's differences of running sums lose nothing
    scores[0, 1000:2000, 1], scores[1, 1023::2, 2] = 20.0, 20.0
    found = check(device, torch.from_numpy(scores), np.array([3000, 3000]))
    assert (found.first[0, 0], found.last[0, 0]) == (1000, 1999)


def test_a_sure_model_s_scores_keep_their_digits(device: torch.device) -> None:
    scores, tops = np.zeros((1, 4, 3), np.float32), np.array([5.0, 20.0, 30.0, 60.0])
    scores[0, np.arange(4), [1, 2, 1, 2]] = tops
    found = greedy.read_labels(
        torch.from_numpy(scores).to(device), torch.tensor([4]).to(device), blank=0, normalize=True
    )
    np.testing.assert_allclose(found.label_scores[0].cpu(), -np.log1p(2 * np.exp(-tops)), rtol=1e-13)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_types_are_read_as_they_are(device: torch.device, kind: torch.dtype) -> None:
    scores, frames = drawn(1, 4, 20, 7)
    noise = np.random.default_rng(0).normal(size=scores.shape)
    check(device, torch.from_numpy(scores + noise).to(kind), frames)


def test_strides_do_not_matter(device: torch.device) -> None:
    scores, frames = drawn(2, 4, 15, 6)
    check(device, torch.from_numpy(scores).permute(1, 2, 0).contiguous().permute(2, 0, 1), frames)
    check(device, torch.from_numpy(np.repeat(scores, 2, axis=2))[:, :, ::2], frames)


def test_poisoned_rows_read_as_nothing_and_spoil_no_other(device: torch.device) -> None:
    scores, _ = drawn(3, 5, 9, 4)
    scores[1, 4, 0], scores[2, 8, 3], scores[3, 0] = np.nan, np.inf, -np.inf
    found = check(device, torch.from_numpy(scores), np.full(5, 9))
    assert found.scores.isnan().tolist() == [False, True, True, True, False]
    assert found.counts[1:4].tolist() == [0, 0, 0]


def test_padding_is_not_read(device: torch.device) -> None:
    scores, frames = drawn(4, 5, 9, 4)
    scores[np.arange(9) >= frames[:, None]] = np.nan
    assert not check(device, torch.from_numpy(scores), frames).scores.isnan().any()


def test_lengths_past_the_axis_read_nothing_outside_and_come_back_as_given(device: torch.device) -> None:
    scores, _ = drawn(5, 3, 6, 4)
    lengths = torch.tensor([7, -1, 6]).to(device)
    found = greedy.read_labels(torch.from_numpy(scores).to(device), lengths, blank=0, normalize=True)
    assert found.lengths.tolist() == [7, -1, 6]
    assert found.counts[1] == 0


@pytest.mark.parametrize("shape", [(0, 5, 3), (2, 0, 3)], ids=str)
def test_empty_axes_work(device: torch.device, shape: tuple[int, int, int]) -> None:
    check(device, torch.zeros(shape), np.full(shape[0], shape[1]))


def test_all_kernels_compile_for_a_gpu(readers: list[dict[str, Any]]) -> None:
    found = {kernel["name"]: kernel for kernel in readers}
    assert {"_log_probabilities", "_runs", "_label_sums", "_row_sums"} <= set(found)
    assert all(found[name]["stack"] == 0 for name in ("_log_probabilities", "_runs", "_label_sums", "_row_sums"))
