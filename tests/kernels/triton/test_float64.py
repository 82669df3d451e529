"""Loss and gradient beside the CPU kernel's in float64: any number of classes, long targets, models of every temper."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from seqloss.kernels.triton import tiles
from seqloss.kernels.triton.ctc import pipeline as ctc
from seqloss.numpy import ctc_loss_and_grad

ABSOLUTE, RELATIVE = 1e-5, 1e-4
"""What is promised of a float32 gradient: of each entry, and of the row's largest."""
UNITS = {torch.float32: 0.0, torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8}

Batch = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def answer(
    device: torch.device, logits: torch.Tensor, *args: Any, blank: int = 0, mode: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    logits, *rest = (torch.as_tensor(values).to(device) for values in (logits, *args))
    found, kept = ctc.forward(logits, *rest, blank=blank, normalize=mode == 0, gradient=True)
    upstream = torch.ones(len(logits), device=device)
    return found.losses.cpu(), ctc.backward(logits, kept, upstream, blank=blank, mode=mode).cpu()


def check(device: torch.device, batch: Batch, kind: torch.dtype = torch.float32, blank: int = 0) -> None:
    logits = torch.from_numpy(batch[0]).to(kind)
    values = logits.double().numpy()
    expected, exact = ctc_loss_and_grad(values, *batch[1:], blank=blank)
    loss, gradient = answer(device, logits, *batch[1:], blank=blank)
    np.testing.assert_allclose(loss, expected, rtol=2e-6, atol=1e-37)
    error = np.abs(gradient.double().numpy() - exact)
    largest = np.abs(exact).max(axis=(1, 2), keepdims=True)
    own = UNITS[kind] * np.abs(exact) + (2.0**-25 if kind == torch.float16 else 0.0)
    assert (error <= ABSOLUTE + own).all(), error.max()
    assert (error <= RELATIVE * largest + own).all(), (error / largest).max()


def drawn(
    seed: int, batch: int, time: int, classes: int, labels: int, scale: float = 3.0, repeats: bool = False
) -> Batch:
    rng = np.random.default_rng(seed)
    logits = (scale * rng.standard_normal((batch, time, classes))).astype(np.float32)
    targets = rng.integers(1, classes, (batch, labels))
    if repeats:
        targets[:, 1::3] = targets[:, : targets[:, 1::3].shape[1] * 3 : 3]
    frames, counts = time - np.arange(batch), np.maximum(0, labels - np.arange(batch))
    return logits, targets, frames, counts


@pytest.mark.parametrize(
    ("classes", "time", "labels"), [(2, 30, 6), (33, 20, 8), (1000, 12, 5), (5000, 6, 3), (262144, 2, 1)]
)
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_any_number_of_classes(device: torch.device, classes: int, time: int, labels: int, kind: torch.dtype) -> None:
    check(device, drawn(classes, 2, time, classes, labels), kind)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("classes", [1030, 5000, 20001])  # two blocks at once; five; three times seven
def test_any_number_of_classes_in_the_blocks_of_a_gpu(
    device: torch.device, classes: int, kind: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "is_interpreted", lambda device: False)
    logits, *rest = drawn(classes, 2, 5, classes, 2)
    logits[0, 0] = 0.5  # all equal
    logits[0, 1, [3, 700, 1025]] = 40.0  # three best
    logits[0, 2] = np.linspace(-30.0, 30.0, classes)  # the best in the last block
    logits[0, 3] = np.linspace(30.0, -30.0, classes)
    check(device, (logits, *rest), kind)


@pytest.mark.parametrize(("labels", "blank"), [
    pytest.param(labels, blank, marks=[pytest.mark.long] * (blank != 0 and labels not in (2, 17)))
    for labels in (0, 1, 2, 15, 16, 17, 31, 32, 33) for blank in (0, 1, 4)
])  # fmt: skip
def test_any_number_of_labels_repeats_among_them(device: torch.device, labels: int, blank: int) -> None:
    logits, targets, frames, counts = drawn(labels, 3, 2 * labels + 8, 5, labels, repeats=True)
    check(device, (logits, np.where(targets <= blank, targets - 1, targets), frames, counts), blank=blank)


@pytest.mark.long
def test_a_target_longer_than_a_block(device: torch.device) -> None:
    check(device, drawn(0, 2, 1900, 20, 1300, repeats=True))


def path_of(target: np.ndarray, time: int) -> np.ndarray:
    """Each label for a frame, a blank or more between."""
    path = np.zeros(time, np.int64)
    path[1 + (time - 2) // len(target) * np.arange(len(target))] = target
    return path


def sure(margin: float, wrong: float = 0.0, time: int = 60) -> Batch:
    """A model that is sure by so many nats, and in a share of its frames wrong."""
    rng = np.random.default_rng(1)
    targets = rng.integers(1, 9, (2, 12))
    logits = rng.normal(size=(2, time, 9)) * 0.3
    for row, target in enumerate(targets):
        logits[row, np.arange(time), path_of(target, time)] += margin
    mistaken = rng.random((2, time)) < wrong
    logits[mistaken, rng.integers(0, 9, mistaken.sum())] += 2 * margin
    return logits.astype(np.float32), targets, np.array([time, time]), np.array([12, 12])


def with_scores(change: Callable[[np.ndarray], None], scale: float = 3.0) -> Batch:
    batch = drawn(7, 3, 50, 8, 12, scale)
    change(batch[0])
    return batch


def mask(value: float) -> Callable[[np.ndarray], None]:
    def masked(logits: np.ndarray) -> None:
        logits[:, :, 3] = value
        logits[:, ::2, 5] = value

    return masked


MODELS: dict[str, Callable[[], Batch]] = {
    "flat": lambda: drawn(0, 3, 60, 6, 15, scale=0.0),
    "nearly flat": lambda: drawn(0, 3, 60, 6, 15, scale=1e-6),
    "wild": lambda: drawn(0, 3, 60, 6, 15, scale=30.0),
    "extreme": lambda: drawn(0, 3, 60, 6, 15, scale=3000.0),
    "masked by -1e4": lambda: with_scores(mask(-1e4)),
    "masked by -inf": lambda: with_scores(mask(-np.inf)),
    "masked by the smallest float": lambda: with_scores(mask(float(np.finfo(np.float32).min))),
    "far from 0": lambda: with_scores(lambda x: np.add(x, 4096.0, out=x)),
    **{f"sure by {margin:g}": lambda margin=margin: sure(margin) for margin in (2.0, 8.0, 16.0, 24.0)},
    "sure by 8, wrong in places": lambda: sure(8.0, 0.1),
    "sure by 20, wrong in places": lambda: sure(20.0, 0.1),
}


@pytest.mark.parametrize("name", MODELS)
def test_models_of_every_temper(device: torch.device, name: str) -> None:
    check(device, MODELS[name]())


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["flat", "wild", "sure by 8", "sure by 8, wrong in places"])
def test_half_types_are_off_by_one_unit_of_their_own(device: torch.device, name: str, kind: torch.dtype) -> None:
    check(device, MODELS[name](), kind)


def test_a_confident_models_loss_and_gradient_keep_their_digits(device: torch.device) -> None:
    """All entries are under 1e-5: an absolute bound would let zeros pass."""
    for margin in (14.0, 20.0, 26.0):
        batch = sure(margin)
        expected, exact = ctc_loss_and_grad(batch[0].astype(np.float64), *batch[1:])
        loss, gradient = answer(device, *map(torch.from_numpy, batch))
        assert expected.max() < 1e-2
        np.testing.assert_allclose(loss, expected, rtol=4e-6)
        largest = np.abs(exact).max(axis=2, keepdims=True)  # of each frame
        assert (np.abs(gradient.numpy() - exact) <= 2e-5 * largest).all()
