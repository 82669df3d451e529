"""What PyTorch adds to the losses of real steps: second derivatives, transforms, compilers, autocast, strides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck, gradgradcheck

from seqloss.torch import masked_absolute_error, masked_cross_entropy, masked_squared_error, time_weighted

GENERATOR = torch.Generator().manual_seed(0)
LOGITS = torch.randn(3, 4, 3, dtype=torch.float64, generator=GENERATOR)
LABELS = torch.randint(0, 3, (3, 4), generator=GENERATOR)
LENGTHS = torch.tensor([4, 2, 0])
MASK = torch.tensor([[1, 0, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]])

LOSSES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "cross-entropy": lambda x: masked_cross_entropy(x, LABELS, LENGTHS, label_smoothing=0.1),
    "of each step": lambda x: masked_cross_entropy(x, LABELS, LENGTHS, mask=MASK, padding=2, reduction="none"),
    "squared": lambda x: masked_squared_error(x, LOGITS.flip(1), LENGTHS, mask=MASK),
    "absolute": lambda x: masked_absolute_error(x, LOGITS.flip(1), LENGTHS, mask=MASK),
    "weighted": lambda x: time_weighted(x[..., 0], LENGTHS, mask=MASK, weight="linear"),
}
EVERY_LOSS = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


@EVERY_LOSS
def test_derivatives_of_both_orders_are_those_of_the_value(loss: Callable[[torch.Tensor], torch.Tensor]) -> None:
    x = LOGITS.clone().requires_grad_()
    assert gradcheck(loss, (x,), check_forward_ad=True, check_batched_grad=True)
    assert gradgradcheck(loss, (x,))


def test_targets_of_an_error_have_a_gradient_too() -> None:
    x, y = (LOGITS.clone().requires_grad_(), LOGITS.flip(1).requires_grad_())
    assert gradcheck(lambda x, y: masked_squared_error(x, y, LENGTHS), (x, y))


def test_padding_stays_out_of_second_derivatives() -> None:
    x = LOGITS.clone()
    x[1, 2:], x[2] = float("nan"), float("inf")
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(LOSSES["cross-entropy"](x), x, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), x)
    assert (second[1, 2:] == 0).all()
    assert (second[2] == 0).all()
    assert second.isfinite().all()
    assert torch.func.hessian(LOSSES["cross-entropy"])(x.detach()).isfinite().all()


def test_a_gradient_that_the_caller_has_is_not_written_to() -> None:
    """The backward fills padding with zeros in place: only in memory that is its own."""
    x = LOGITS.clone().requires_grad_()
    seen = []
    y = x * 1
    y.register_hook(lambda gradient: seen.append(gradient.clone()))
    (F.log_softmax(y, 2).sum() + LOSSES["cross-entropy"](y)).backward()
    alone = torch.autograd.grad(F.log_softmax(x, 2).sum(), x)[0] + torch.autograd.grad(LOSSES["cross-entropy"](x), x)[0]
    torch.testing.assert_close(x.grad, alone)
    torch.testing.assert_close(seen[0], alone)


@EVERY_LOSS
def test_compiled_and_traced_programs_give_the_same(loss: Callable[[torch.Tensor], torch.Tensor]) -> None:
    x, y = LOGITS.clone().requires_grad_(), LOGITS.clone().requires_grad_()
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")(x)
    compiled.sum().backward()
    loss(y).sum().backward()
    torch.testing.assert_close(compiled, loss(y))
    torch.testing.assert_close(x.grad, y.grad)


def test_vmap_over_rows_gives_each_row_alone() -> None:
    def one(x: torch.Tensor, y: torch.Tensor, length: torch.Tensor) -> torch.Tensor:
        return masked_cross_entropy(x[None], y[None], length[None], reduction="sum")

    expected = masked_cross_entropy(LOGITS, LABELS, LENGTHS, reduction="none").sum(1)
    torch.testing.assert_close(torch.vmap(one)(LOGITS, LABELS, LENGTHS), expected)


def test_what_cannot_be_checked_is_nan_for_its_row_or_step() -> None:
    def one(x: torch.Tensor, y: torch.Tensor, length: torch.Tensor) -> torch.Tensor:
        return masked_cross_entropy(x[None], y[None], length[None], reduction="none")[0]

    labels = LABELS.clone()
    labels[1, 0], labels[1, 1] = 5, -1
    found = torch.vmap(one)(LOGITS, labels, torch.tensor([5, 2, -1]))
    assert found[[0, 2]].isnan().all()
    assert found[1].isnan().tolist() == [True, True, False, False]


def test_the_mean_is_that_of_ignore_index() -> None:
    labels = torch.where(torch.arange(4) < LENGTHS[:, None], LABELS, -100)
    for smoothing in (0.0, 0.1):
        expected = F.cross_entropy(LOGITS.transpose(1, 2), labels, label_smoothing=smoothing)
        found = masked_cross_entropy(LOGITS, labels, padding=-100, label_smoothing=smoothing)
        torch.testing.assert_close(found, expected)


def test_strides_and_autocast_change_nothing() -> None:
    expected = masked_cross_entropy(LOGITS, LABELS, LENGTHS)
    turned = LOGITS.transpose(0, 2).contiguous().transpose(0, 2)
    torch.testing.assert_close(masked_cross_entropy(turned, LABELS.T.contiguous().T, LENGTHS), expected)
    with torch.autocast("cpu", torch.bfloat16):
        found = masked_cross_entropy(LOGITS.float(), LABELS, LENGTHS)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=0)


def test_weights_may_be_learnt() -> None:
    rate = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    x = LOGITS[..., 0].clone()
    x[1, 2:] = float("nan")

    def loss(rate: torch.Tensor) -> torch.Tensor:
        return time_weighted(x, LENGTHS, weight=lambda step: step**rate)

    assert gradcheck(loss, (rate,))


def test_a_meta_tensor_has_the_shape_of_the_result() -> None:
    x: Any = torch.empty(2, 3, 4, device="meta")
    assert masked_cross_entropy(x, torch.zeros(2, 3, dtype=torch.int64), reduction="none").shape == (2, 3)
