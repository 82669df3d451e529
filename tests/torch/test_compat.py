"""PyTorch's private interfaces stand where `seqloss.torch._compat` looks for them, and mean what it says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from seqloss.torch import CTCLoss, _compat


class Spy(torch.autograd.Function):
    """Writes down in its backward what `_compat` says."""

    answers: list[tuple[bool, bool]]

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> torch.Tensor:
        Spy.answers.append((_compat.is_batched(upstream), _compat.graph_is_kept()))
        return upstream * 2


def test_a_backward_sees_batched_gradients_and_a_retained_graph() -> None:
    Spy.answers = []
    x = torch.ones(2, requires_grad=True)
    loss = Spy.apply(x)
    for many in (False, True):
        upstream = torch.eye(2) if many else torch.ones(2)
        for kept in (True, False):
            loss = Spy.apply(x)
            torch.autograd.grad(loss, x, upstream, is_grads_batched=many, retain_graph=kept)
    assert Spy.answers == [(False, True), (False, False), (True, True), (True, False)]


def test_tensors_inside_vmap_are_batched_and_transformed_and_others_are_not() -> None:
    found = []

    def look(x: torch.Tensor) -> torch.Tensor:
        found.append((_compat.is_batched(x), _compat.is_transformed(x)))
        return x

    torch.vmap(look)(torch.ones(2))
    torch.func.grad(look)(torch.ones(()))
    look(torch.ones(2))
    assert found == [(True, True), (False, True), (False, False)]


def test_the_transforms_around_a_call_are_seen() -> None:
    found = []

    def look(x: torch.Tensor) -> torch.Tensor:
        found.append((_compat.transforms_are_active(), _compat.differentiating_transform(), _compat.has_tangent(x)))
        return x

    look(torch.ones(()))
    torch.vmap(look)(torch.ones(2))
    torch.func.grad(look)(torch.ones(()))
    torch.func.jvp(look, (torch.ones(()),), (torch.ones(()),))
    with torch.autograd.forward_ad.dual_level():
        look(torch.ones(()))
        look(torch.autograd.forward_ad.make_dual(torch.ones(()), torch.ones(())))
    assert found == [
        (False, "", False), (True, "", False), (True, "grad", False), (True, "jvp", True), (False, "dual_level", False),
        (False, "dual_level", True),
    ]  # fmt: skip


def test_a_nested_jvp_of_a_function_with_a_forward_rule_has_its_second_derivative() -> None:
    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(x: torch.Tensor) -> torch.Tensor:
            return x**3

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
            ctx.save_for_forward(*inputs)

        @staticmethod
        @_compat.forward_rule
        def jvp(ctx: Any, direction: torch.Tensor) -> torch.Tensor:
            (x,) = ctx.saved_primals
            return 3 * x * x * direction

    def slope(x: torch.Tensor) -> torch.Tensor:
        return torch.func.jvp(Cube.apply, (x,), (torch.ones(()),))[1]

    assert torch.func.jvp(slope, (torch.tensor(2.0),), (torch.ones(()),))[1] == 12


def test_a_constant_for_dynamo_is_called_while_it_traces_and_not_traced() -> None:
    @_compat.constant_for_dynamo
    def constant() -> bool:
        with Path(os.devnull).open():  # what Dynamo cannot trace
            return True

    torch.compiler.reset()
    program = torch.compile(lambda x: x + (5 if constant() else 3), backend="eager", fullgraph=True)
    assert program(torch.zeros(())) == 5
    torch.compiler.reset()


def test_make_fx_is_seen_in_each_of_its_modes() -> None:
    found = []

    def look(x: torch.Tensor) -> torch.Tensor:
        found.append(_compat.is_recorded())
        return x + 1

    modes: tuple[dict[str, Any], ...] = (
        {}, {"pre_dispatch": True}, {"tracing_mode": "fake"}, {"tracing_mode": "symbolic"},
    )  # fmt: skip
    for options in modes:
        make_fx(look, **options)(torch.ones(2))
    assert found == [True] * 4
    assert not _compat.is_recorded()


def test_fake_tensors_and_their_mode_are_seen() -> None:
    x = torch.ones(2)
    with FakeTensorMode() as mode:
        fake = mode.from_tensor(x)
        assert _compat.is_fake(fake)
        assert _compat.is_fake(x)
    assert _compat.is_fake(fake)
    assert not _compat.is_fake(x)


def test_classes_that_dispatch_operators_are_told_from_those_that_do_not() -> None:
    class Plain(torch.Tensor):
        pass

    class Wrapper(torch.Tensor):
        @classmethod
        def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            return NotImplemented

    x = torch.ones(2)
    for own in (x, torch.nn.Parameter(x), x.as_subclass(Plain), [1, 2], None):
        assert not _compat.dispatches_operators(own)
    assert _compat.dispatches_operators(torch.Tensor._make_subclass(Wrapper, x))
    assert _compat.dispatches_operators(FakeTensorMode().from_tensor(x))
    assert not torch.vmap(lambda row: torch.tensor(_compat.dispatches_operators(row)))(x).any()


def test_operations_on_lists_of_tensors_change_them_in_place() -> None:
    tensors = [torch.ones(2), torch.ones(3)]
    _compat.foreach("mul_")(tensors, 2)
    assert [tensor.tolist() for tensor in tensors] == [[2, 2], [2, 2, 2]]


def test_torch_jit_script_calls_the_hook_before_it_compiles_a_module() -> None:
    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.loss = CTCLoss()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    for module in (CTCLoss(), Network()):
        with pytest.raises(RuntimeError, match=r"CTCLoss cannot be compiled by torch\.jit\.script"):
            torch.jit.script(module)
