"""Blocks of any size give the same bits: columns in lanes, lines and parts, rows alone or together, swept or not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from seqloss.kernels.triton import tiles
from seqloss.kernels.triton.ctc import by_class, gradient, loss, posteriors, prepared_targets, sums
from seqloss.kernels.triton.ctc import pipeline as ctc
from seqloss.kernels.triton.tiles import Walks


def drawn(seed: int, labels: int, time: int, sure: bool = False) -> list[torch.Tensor]:
    """Five rows: long, short, without labels, infeasible, with repeats; every other one sure of its target."""
    rng = np.random.default_rng(seed)
    logits = 2.0 * rng.standard_normal((5, time, 20))
    targets = rng.integers(1, 20, (5, labels))
    targets[4, 1::2] = targets[4, : targets[4, 1::2].size * 2 : 2]
    if sure:
        places = (time - 1) * (np.arange(labels) + 0.5) // labels
        for row in (0, 2):
            path = np.zeros(time, np.int64)
            path[places.astype(int)] = targets[row]
            logits[row, np.arange(time), path] += 12.0
    counts = np.array([labels, labels // 3, 0, labels, labels])
    frames = np.array([time, time - 3, time - 1, max(0, labels - 1), time])
    return [torch.from_numpy(part) for part in (logits.astype(np.float32), targets, frames, counts)]


def answer(device: torch.device, args: list[torch.Tensor], normalize: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
    logits, *rest = (part.to(device) for part in args)
    found, kept = ctc.forward(logits, *rest, blank=0, normalize=normalize, gradient=True)
    upstream = torch.full((len(logits),), -1.25, device=device)
    return found.losses.cpu(), ctc.backward(logits, kept, upstream, blank=0, mode=0 if normalize else 1).cpu()


def assert_same(found: Any, expected: Any) -> None:
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one.view(torch.int32), other.view(torch.int32))


LAYOUTS = {
    "lanes": Walks(16, 1, 4, 1, warps=4),
    "parts": Walks(16, 1, 1, 4, warps=4),
    "lanes of parts": Walks(16, 1, 2, 2, warps=4),
    "lines": Walks(16, 4, 2, 1, warps=4),
    "lines of lanes of parts": Walks(16, 2, 2, 2, warps=4),
    "one block": Walks(16, 2, 4, 2, warps=4),
    "rows alone": Walks(1, 1, 8, 1, warps=4),
    "rows alone, in blocks": Walks(1, 1, 2, 1, warps=4),
    "some rows, in blocks": Walks(4, 1, 4, 1, warps=4),
    "rows alone, in lines of lanes of parts": Walks(1, 2, 4, 2, warps=4),
}


QUICK = {
    "lanes of parts": (True,),
    "lines of lanes of parts": (True, False),
    "one block": (True,),
    "rows alone": (True,),
    "rows alone, in blocks": (True,),
    "some rows, in blocks": (True,),
    "rows alone, in lines of lanes of parts": (True, False),
}
"""Layouts that `make test` asks for: scores of a sure model, or others."""


@pytest.fixture(scope="module")
def answers(device: torch.device) -> dict[bool, tuple[torch.Tensor, torch.Tensor]]:
    """Of the layout that is chosen for the interpreter: to a sure model's scores, and to others."""
    return {sure: answer(device, drawn(3, 7, 17, sure)) for sure in (False, True)}


@pytest.mark.parametrize(("name", "sure"), [
    pytest.param(name, sure, marks=[pytest.mark.long] * (sure not in QUICK.get(name, ())))
    for name in LAYOUTS for sure in (False, True)
])  # fmt: skip
def test_a_target_laid_out_or_swept_otherwise_has_the_same_bits(
    device: torch.device,
    answers: dict[bool, tuple[torch.Tensor, torch.Tensor]],
    name: str,
    sure: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    args, expected = drawn(3, 7, 17, sure), answers[sure]
    assert expected[0].isinf().tolist() == [False, False, False, True, False]
    monkeypatch.setattr(sums, "HANDED", 4)
    monkeypatch.setattr(sums, "walks_tile", lambda *sizes: LAYOUTS[name])
    monkeypatch.setattr(posteriors, "segments_tile", lambda *sizes: LAYOUTS[name])
    assert_same(answer(device, args), expected)


@pytest.mark.parametrize("reduction", ["sum", "batch", "mean", "labels"])
def test_rows_that_are_several_blocks_are_weighed_and_added_up_as_one_block_is(
    device: torch.device, reduction: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = [part.to(device) for part in drawn(4, 5, 17)]
    args[3][3] = 1  # so that a path fits

    def found() -> loss.Losses:
        return ctc.forward(*args, blank=0, normalize=True, reduction=reduction, gradient=True)[0]

    one = found()
    monkeypatch.setattr(loss, "BLOCK", 2)
    several = found()
    assert torch.equal(one.losses, several.losses)
    assert (one.weights is None) == (several.weights is None) == (reduction == "sum")
    if one.weights is not None and several.weights is not None:
        assert torch.equal(one.weights, several.weights)
    torch.testing.assert_close(one.total, several.total, rtol=2**-23, atol=0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="it looks into the interpreter")
@pytest.mark.parametrize("handed", [2, 4, 16])
def test_a_block_waits_for_every_frame_that_it_takes_over(
    device: torch.device, handed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited, taken = [0], []
    prefetch = sums.prefetch_frames

    def wait_for(done: Any, frames: Any) -> None:
        waited.append(int(frames))

    def recorded(*args: Any) -> Any:
        given = dict(zip(prefetch.arg_names, args, strict=True))
        if given["enters"].handle.data.any():
            taken.append(int(given["u"]) + min(int(given["TOGETHER"]), int(given["left"].handle.data.max())))
            assert taken[-1] <= waited[-1]
        return prefetch(*args)

    monkeypatch.setattr(sums, "HANDED", handed)
    monkeypatch.setattr(sums, "walks_tile", lambda *sizes: LAYOUTS["some rows, in blocks"])
    monkeypatch.setattr(sums, "wait_for_frames", wait_for)
    monkeypatch.setattr(sums, "prefetch_frames", recorded)
    answer(device, drawn(3, 7, 17))
    assert max(taken) == max(waited) == 17


@pytest.mark.parametrize("labels", [3, 12, *(pytest.param(labels, marks=pytest.mark.long) for labels in (40, 300))])
def test_the_blocks_of_a_gpu_give_the_bits_of_the_interpreters(
    device: torch.device, labels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = drawn(labels, labels, 2 * labels + 8, sure=True)
    expected = answer(device, args)
    for module in (tiles, prepared_targets):
        monkeypatch.setattr(module, "is_interpreted", lambda device: False)
    assert_same(answer(device, args), expected)


@pytest.mark.parametrize("few", [True, False], ids=["by class", "by label"])
def test_sums_by_class_are_the_same_in_one_block_and_in_several(
    device: torch.device, few: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = drawn(7, 12, 40, sure=True)
    for module in (prepared_targets, by_class, gradient):
        monkeypatch.setattr(module, "has_few_classes", lambda classes: few)
    expected = answer(device, args)
    monkeypatch.setattr(by_class, "labels_tile", lambda *sizes: tiles.Tile(8, 4, warps=1))
    for found, one in zip(answer(device, args), expected, strict=True):
        torch.testing.assert_close(found, one, rtol=1e-6, atol=1e-7)


def test_leaders_found_among_classes_or_among_labels_give_the_same_gradient(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = drawn(7, 12, 40, sure=True)
    answers = []
    for few in (True, False):
        for module in (prepared_targets, by_class, gradient):
            monkeypatch.setattr(module, "has_few_classes", lambda classes, few=few: few)
        answers.append(answer(device, args))
    for one, other in zip(*answers, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-7)


def test_a_length_below_nothing_counts_as_no_labels(device: torch.device) -> None:
    args = [part.to(device) for part in drawn(4, 5, 17)]
    args[3] = torch.tensor([-3, 4, 2, 0, 5], device=device)
    found, _ = ctc.forward(*args, blank=0, normalize=True, reduction="labels", gradient=True)
    assert found.losses.isnan().tolist() == [True, False, False, False, False]
    assert found.weights is not None
    assert found.weights.tolist() == pytest.approx([1 / 11] * 5)


def test_waves_of_any_size_give_the_same_bits(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    args = drawn(1, 7, 30, sure=True)
    expected = answer(device, args)
    for size in (3, 7):
        monkeypatch.setattr(posteriors, "segments_per_wave", lambda *sizes, size=size: size)
        assert_same(answer(device, args), expected)


@pytest.mark.parametrize("stride", [1, 5, 100])
def test_segments_of_any_length_give_the_same_posteriors(
    device: torch.device, stride: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = drawn(1, 7, 30, sure=True)
    expected = answer(device, args)
    for module in (sums, posteriors):
        monkeypatch.setattr(module, "segment_frames", lambda time: stride)
    assert_same(answer(device, args), expected)


@pytest.mark.parametrize(
    ("kind", "shape", "unit"),
    [
        (torch.float32, (2, 3, 5000), 4),
        (torch.float32, (2, 3, 5002), 2),
        (torch.float32, (2, 3, 5001), 1),
        (torch.bfloat16, (2, 3, 5000), 8),
        (torch.float16, (1, 1, 12), 4),
    ],
)
def test_classes_are_fetched_together_as_far_as_all_frames_allow(
    kind: torch.dtype, shape: tuple[int, int, int], unit: int
) -> None:
    logits = torch.empty(shape, dtype=kind)
    assert tiles.classes_per_access(logits) == unit
    assert tiles.classes_per_access(logits.transpose(0, 1)) == unit
    wider = torch.empty((*shape[:2], shape[2] + 1), dtype=kind)
    assert tiles.classes_per_access(wider[..., :-1]) == (1 if shape[1] > 1 else unit)


@pytest.mark.skipif(torch.cuda.is_available(), reason="memory that nobody touches is free on the host alone")
def test_rows_may_lie_more_than_two_to_the_31_scores_apart(device: torch.device) -> None:
    apart = 2**31 + 64
    scores = torch.from_numpy(np.zeros(apart + 3 * 8, np.float16))
    logits = scores.as_strided((2, 3, 8), (apart, 8, 1))
    logits.copy_(torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(0)))
    rest = [torch.tensor([[1], [2]]), torch.tensor([3, 3]), torch.tensor([1, 1])]
    assert_same(answer(device, [logits, *rest]), answer(device, [logits.clone(), *rest]))


def test_calls_repeat_their_bits(device: torch.device) -> None:
    args = drawn(2, 8, 25)
    expected = answer(device, args)
    for _ in range(3):
        assert_same(answer(device, args), expected)


def test_a_row_has_its_bits_beside_any_others_in_any_order(device: torch.device) -> None:
    args = drawn(5, 8, 25, sure=True)
    losses, gradient = answer(device, args)
    for order in ([4, 2, 0], [1], [3, 3, 0, 1, 4, 2, 0]):
        found = answer(device, [part[order] for part in args])
        assert_same(found, (losses[order], gradient[order]))


@pytest.mark.parametrize("normalize", [True, False])
def test_a_view_that_is_time_first_in_memory_has_the_same_bits(device: torch.device, normalize: bool) -> None:
    logits, *rest = drawn(6, 8, 25)
    turned = logits.transpose(0, 1).contiguous().transpose(0, 1)
    assert_same(answer(device, [turned, *rest], normalize), answer(device, [logits, *rest], normalize))
