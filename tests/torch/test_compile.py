"""Under torch.compile the Triton kernels are operators of their own: one graph, the same bits, NaN for what is bad."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from seqloss import errors
from seqloss.torch import CTCLoss, ctc_loss

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = torch.device("cpu" if INTERPRETED else "cuda")
if not INTERPRETED and not torch.cuda.is_available():
    pytest.skip("no CUDA device; TRITON_INTERPRET=1 runs the kernels without one", allow_module_level=True)

TARGETS = torch.tensor([[1, 2, 2], [3, 1, 0]]).to(DEVICE)
FRAMES, LABELS = torch.tensor([7, 5]).to(DEVICE), torch.tensor([3, 2]).to(DEVICE)
UPSTREAM = torch.tensor([1.0, -2.5]).to(DEVICE)


@pytest.fixture(autouse=True)
def nothing_compiled_yet() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def leaf(kind: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=(2, 7, 4))).to(DEVICE, kind).requires_grad_()


def answer(function: Callable[..., torch.Tensor], x: torch.Tensor, *args: Any) -> tuple[torch.Tensor, torch.Tensor]:
    loss = function(x, *args)
    (gradient,) = torch.autograd.grad(loss, x, UPSTREAM if loss.ndim else None)
    return loss.detach(), gradient


def compiled(function: Callable[..., torch.Tensor], **options: Any) -> Callable[..., torch.Tensor]:
    return torch.compile(function, fullgraph=True, backend="aot_eager", **options)


def assert_same_bits(found: tuple[torch.Tensor, ...], expected: tuple[torch.Tensor, ...]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize(
    "options",
    [{}, {"reduction": "mean", "normalize": False}, {"reduction": "sum", "denominator": 7.5, "blank": -4}],
    ids=str,
)
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_loss_and_gradient_are_one_graph_and_the_same_bits(options: dict[str, Any], kind: torch.dtype) -> None:
    def loss(x: torch.Tensor, *args: Any) -> torch.Tensor:
        return ctc_loss(x.log_softmax(2) if "normalize" in options else x * 2, *args, validate=False, **options)

    args = (TARGETS, FRAMES, LABELS)
    assert_same_bits(answer(compiled(loss), leaf(kind), *args), answer(loss, leaf(kind), *args))


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_the_drop_in_is_one_graph_and_the_same_bits(reduction: Any) -> None:
    module = CTCLoss(reduction=reduction, zero_infinity=True)

    def loss(x: torch.Tensor, *args: Any) -> torch.Tensor:
        return module(x.log_softmax(2).transpose(0, 1), *args)

    args = (TARGETS, FRAMES, LABELS)
    assert_same_bits(answer(compiled(loss), leaf(), *args), answer(loss, leaf(), *args))


def test_lengths_left_out_in_lists_or_labels_one_row_after_another_are_traced_too() -> None:
    for args in (
        (TARGETS[:, :2], None, None),
        ([[1, 2], [3, 1]], [7, 5], [2, 2]),
        (torch.tensor([1, 2, 2, 3, 1]).to(DEVICE), FRAMES, LABELS),
    ):
        torch.compiler.reset()
        found = answer(compiled(lambda x, args=args: ctc_loss(x, *args)), leaf())
        assert_same_bits(found, answer(lambda x, args=args: ctc_loss(x, *args), leaf()))


def test_one_program_takes_batches_of_any_size() -> None:
    graphs = []

    def count(graph: torch.fx.GraphModule, inputs: Any) -> Callable[..., Any]:
        graphs.append(graph)
        return graph.forward

    program = torch.compile(ctc_loss, fullgraph=True, backend=count, dynamic=True)
    for rows, time in ((3, 7), (5, 9), (6, 12)):
        x = torch.randn(rows, time, 4, generator=torch.Generator().manual_seed(0)).to(DEVICE)
        targets = torch.ones(rows, 2, dtype=torch.int64).to(DEVICE)
        assert torch.equal(program(x, targets), ctc_loss(x, targets))
    assert len(graphs) == 1


@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_a_program_recorded_without_a_gradient_has_one(reduction: Any) -> None:
    def loss(x: torch.Tensor) -> torch.Tensor:
        return ctc_loss(x * 2, TARGETS, FRAMES, LABELS, reduction=reduction, validate=False)

    assert_same_bits(answer(make_fx(loss)(leaf().detach()), leaf()), answer(loss, leaf()))


def test_what_breaks_the_contract_is_nan_and_its_form_an_error() -> None:
    program = compiled(lambda x, targets: ctc_loss(x, targets, FRAMES, LABELS))
    loss, gradient = answer(program, leaf(), torch.where(TARGETS == 3, 4, TARGETS))
    assert loss.isnan().tolist() == [False, True]
    assert gradient[1, :5].isnan().all()
    assert not gradient[1, 5:].any()
    for words, kind, args in (
        ("targets: expected 2 rows", errors.ShapeError, (TARGETS[:1],)),
        ("targets: expected integers", errors.DTypeError, (TARGETS.float(),)),
        ("logit_lengths: expected 2 rows", errors.ShapeError, (TARGETS, FRAMES[:1])),
    ):
        torch.compiler.reset()
        with pytest.raises(Exception, match=words) as caught:
            compiled(lambda x, args=args: ctc_loss(x, *args))(leaf())
        assert kind.__name__ in f"{type(caught.value)} {caught.value}"


def test_a_blank_of_another_type_is_refused_while_a_program_is_traced() -> None:
    for blank in (True, 1.5):
        torch.compiler.reset()
        with pytest.raises(Exception, match="blank: expected an int"):
            compiled(lambda x, blank=blank: ctc_loss(x, TARGETS, FRAMES, LABELS, blank=blank))(leaf())


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("gradient", [True, False])
def test_the_operators_are_what_they_are_registered_as(gradient: bool, reduction: str) -> None:
    """PyTorch's own look: schema, fake tensors' shapes and strides, autograd, dynamic shapes.

    All frames and labels are in use, or what is kept would hold memory as it was allocated.
    """
    from seqloss.torch.ctc.operators import ctc_gradient, ctc_losses

    x = leaf().requires_grad_(gradient)
    full = torch.full((2,), 7, device=DEVICE), torch.full((2,), 3, device=DEVICE)
    targets = torch.tensor([[1, 2, 3], [3, 1, 3]]).to(DEVICE)
    args = (x, targets, *full, full[1], 0, True, 0, reduction, -1.0, gradient, 0)
    torch.library.opcheck(ctc_losses, args)
    if gradient:
        _, *kept = (tensor.detach() for tensor in ctc_losses(*args))
        upstream = UPSTREAM if reduction == "none" else UPSTREAM[0]
        torch.library.opcheck(ctc_gradient, (x.detach(), *kept, upstream, 0, 0))
