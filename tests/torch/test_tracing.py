"""What records programs gets a loss that is right for every input, or an error that says what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch._dynamo.utils import counters
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.library import opcheck

from seqloss.errors import LabelError
from seqloss.torch import (
    CTCLoss,
    ctc_align,
    ctc_check,
    ctc_greedy,
    ctc_loss,
    ctc_posteriors,
    from_loss_and_grad,
    functional,
)
from seqloss.torch.ctc import operators, second_derivative
from seqloss.torch.ctc.row_tensors import Options

TARGETS, FRAMES, LABELS = torch.tensor([[1, 2, 2], [3, 1, 0]]), torch.tensor([7, 5]), torch.tensor([3, 2])
ROW = torch.tensor([1, 2, 2, 3, 1])
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
Function = Callable[[torch.Tensor], Any]


def cubes(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (x**3).sum((1, 2)), 3 * x**2


custom = from_loss_and_grad(cubes)
module = CTCLoss(reduction="none")

LOSSES: dict[str, Function] = {
    "ctc_loss": lambda x: ctc_loss(x * 2, TARGETS, FRAMES, LABELS),
    "mean": lambda x: ctc_loss(x * 2, TARGETS, FRAMES, LABELS, reduction="mean"),
    "lists": lambda x: ctc_loss(x * 2, [[1, 2, 2], [3, 1, 0]], [7, 5], [3, 2], reduction="sum", denominator=3.0),
    "concatenated": lambda x: ctc_loss((x * 2).log_softmax(2), ROW, FRAMES, LABELS, normalize=False),
    "CTCLoss": lambda x: module((x * 2).log_softmax(2).transpose(0, 1), TARGETS, FRAMES, LABELS),
}
OTHERS: dict[str, Function] = {
    "cubes": lambda x: custom(x * 2),
    "ctc_align": lambda x: ctc_align(x * 2, TARGETS, FRAMES, LABELS).total,
    "ctc_posteriors": lambda x: ctc_posteriors(x * 2, TARGETS, FRAMES, LABELS),
    "ctc_greedy": lambda x: torch.tensor([row.score for row in ctc_greedy(x * 2, FRAMES)]),
    "ctc_check": lambda x: torch.tensor(len(ctc_check(x * 2, TARGETS, FRAMES, LABELS).findings)),
}
FUNCTIONS = LOSSES | OTHERS
SYMBOLIC = {"tracing_mode": "symbolic", "_allow_non_fake_inputs": True}


@pytest.fixture(autouse=True)
def nothing_compiled_yet() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def leaf(seed: int = 0, time: int = 7) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(2, time, 4))).float().requires_grad_()


def assert_same(found: torch.Tensor, expected: torch.Tensor) -> None:
    """To the bit for the CPU kernel; a compiler may order the operations before it otherwise."""
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("backend", ["eager", "aot_eager", pytest.param("inductor", marks=pytest.mark.long)])
def test_a_loss_is_one_graph_of_torch_compile_with_dynamic_shapes_and_is_compiled_once(backend: str, name: str) -> None:
    counters.clear()
    with torch._dynamo.config.patch(error_on_recompile=True):
        program = torch.compile(LOSSES[name], backend=backend, fullgraph=True, dynamic=True)
        for seed in range(3):
            x, y = leaf(seed, 7 + seed), leaf(seed, 7 + seed)
            found, expected = program(x), LOSSES[name](y)
            found.sum().backward()
            expected.sum().backward()
            assert_same(found, expected)
            assert_same(x.grad, y.grad)
    assert counters["stats"]["unique_graphs"] == 1


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_torch_compile_gives_the_same_bits(backend: str, name: str) -> None:
    program = torch.compile(FUNCTIONS[name], backend=backend)
    for seed in range(2):
        assert torch.equal(program(leaf(seed)), FUNCTIONS[name](leaf(seed)))


@pytest.mark.long
@pytest.mark.skipif(INTERPRETED, reason="a matter of the CPU's kernels")
def test_the_first_call_of_a_process_may_be_a_compiled_one_and_importing_does_not_import_the_compiler() -> None:
    code = """
import sys, torch, seqloss.torch
assert "torch._dynamo" not in sys.modules
x = torch.zeros(1, 2, 3, requires_grad=True)
loss = torch.compile(lambda x: seqloss.torch.ctc_loss(x, torch.tensor([[1]])).sum(), backend="eager")(x)
loss.backward()
print(round(loss.item(), 4), round(x.grad[0, 0, 1].item(), 4))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.stdout.split() == ["1.0986", "-0.3333"], done.stderr[-2000:]


@pytest.mark.skipif(INTERPRETED, reason="values on a device are not checked")
def test_a_compiled_loss_refuses_what_breaks_the_contract_when_it_runs() -> None:
    program = torch.compile(lambda x, labels: ctc_loss(x, labels), backend="aot_eager", fullgraph=True)
    program(leaf(), TARGETS[:, :2])
    with pytest.raises(LabelError, match="found label 8"):
        program(leaf(), TARGETS[:, :2] + 7)


@pytest.mark.parametrize("name", ["ctc_loss", pytest.param("CTCLoss", marks=pytest.mark.long)])
def test_vmap_inside_a_compiled_program_works_and_what_differentiates_runs_uncompiled_or_is_an_error(name: str) -> None:
    many = torch.stack([leaf(seed).detach() for seed in range(3)])
    program = torch.compile(torch.func.vmap(LOSSES[name]), backend="aot_eager", fullgraph=True)
    assert_same(program(many), torch.func.vmap(LOSSES[name])(many))
    for derivative in ("func.grad", "jvp"):
        function = DERIVATIVES[derivative](LOSSES[name])
        found = torch.compile(function, backend="aot_eager")(leaf().detach())
        assert_same(found, function(leaf().detach()))
        torch.compiler.reset()
        with pytest.raises(RuntimeError):
            torch.compile(function, backend="aot_eager", fullgraph=True)(leaf().detach())


def test_forward_mode_through_a_compiled_program_is_an_error_and_not_0() -> None:
    program = torch.compile(LOSSES["ctc_loss"], backend="aot_eager")
    program(leaf().detach())
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(leaf().detach(), leaf(1).detach())
        with pytest.raises(RuntimeError, match="has no forward mode; call the loss itself"):
            program(dual)


@pytest.mark.parametrize("lengths", [(7, 3), ([7], [3]), ((7,), (3,)), (torch.tensor(7), torch.tensor([3]))], ids=str)
def test_a_single_row_is_compiled_with_its_lengths_in_every_form(lengths: Any) -> None:
    def loss(x: torch.Tensor, frames: Any, labels: Any) -> torch.Tensor:
        return functional.ctc_loss(x[0], TARGETS[0], frames, labels)

    program = torch.compile(loss, backend="aot_eager", fullgraph=True, dynamic=True)
    assert_same(program(leaf(), *lengths), loss(leaf(), *lengths))


def test_another_denominator_does_not_compile_the_program_again() -> None:
    counters.clear()
    program = torch.compile(
        lambda x, total: ctc_loss(x, TARGETS, FRAMES, LABELS, reduction="sum", denominator=total),
        backend="eager", fullgraph=True,
    )  # fmt: skip
    for total in range(1, 6):
        expected = ctc_loss(leaf(), TARGETS, FRAMES, LABELS, reduction="sum", denominator=float(total))
        assert_same(program(leaf(), float(total)), expected)
    assert counters["stats"]["unique_graphs"] <= 2


@pytest.mark.parametrize("name", OTHERS)
def test_fullgraph_is_an_error_that_names_the_reason(name: str) -> None:
    with pytest.raises(RuntimeError, match="cannot be traced: leave out fullgraph=True, or call it outside"):
        torch.compile(FUNCTIONS[name], backend="eager", fullgraph=True)(leaf())


@pytest.mark.parametrize("options", [{}, {"pre_dispatch": True}, SYMBOLIC], ids=str)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_make_fx_records_no_constant(name: str, options: dict[str, Any]) -> None:
    function = FUNCTIONS[name]
    if name in LOSSES:
        program = make_fx(function, **options)(leaf().detach())
        other = leaf(1).detach()
        assert torch.equal(program(other), function(other))
    else:
        with pytest.raises(RuntimeError, match=f"{name} cannot be recorded by make_fx: .*call {name} on its output"):
            make_fx(function, **options)(leaf().detach())


def by_autograd(function: Function) -> Function:
    def gradient(x: torch.Tensor) -> torch.Tensor:
        x = x.detach().requires_grad_()
        return torch.autograd.grad(function(x).sum(), x)[0]

    return gradient


DERIVATIVES: dict[str, Callable[[Function], Function]] = {
    "autograd.grad": by_autograd,
    "func.grad": lambda function: torch.func.grad(lambda x: function(x).sum()),
    "jvp": lambda function: lambda x: torch.func.jvp(function, (x,), (torch.ones_like(x).cumsum(2),))[1],
    "hessian": lambda function: torch.func.hessian(lambda x: function(x).sum()),
}


@pytest.mark.parametrize("derivative", DERIVATIVES)
@pytest.mark.parametrize("name", ["ctc_loss", "CTCLoss"])
def test_make_fx_records_derivatives(name: str, derivative: str) -> None:
    function = DERIVATIVES[derivative](LOSSES[name])
    program = make_fx(function, tracing_mode="symbolic", _allow_non_fake_inputs=True)(leaf().detach())
    other = leaf(1).detach()
    assert_same(program(other), function(other))


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.filterwarnings("ignore")
def test_jit_trace_records_no_constant(name: str) -> None:
    loss = name if name in {*OTHERS, "CTCLoss"} else "ctc_loss"
    with pytest.raises(RuntimeError, match=rf"{loss} cannot be recorded by torch\.jit\.trace"):
        torch.jit.trace(FUNCTIONS[name], leaf().detach())


class Network(torch.nn.Module):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.loss = module

    def forward(self, x: torch.Tensor) -> Any:
        return FUNCTIONS[self.name](x)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("name", ["ctc_loss", "concatenated", "CTCLoss"])
def test_export_takes_any_number_of_frames(name: str, strict: bool) -> None:
    time = torch.export.Dim("time", min=7, max=100)
    program = torch.export.export(Network(name), (leaf().detach(),), dynamic_shapes={"x": {1: time}}, strict=strict)
    for frames in (7, 12):
        other = leaf(1, frames).detach()
        assert_same(program.module()(other), FUNCTIONS[name](other))
        assert_same(program.run_decompositions({}).module()(other), FUNCTIONS[name](other))


RECORDED: dict[str, Callable[[str], Function]] = {
    "export": lambda name: torch.export.export(Network(name), (leaf().detach(),)).module(),
    "make_fx": lambda name: make_fx(LOSSES[name])(leaf().detach()),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("recorder", RECORDED)
def test_a_program_recorded_without_a_gradient_has_first_and_second_derivatives(recorder: str, name: str) -> None:
    program = RECORDED[recorder](name)
    for found, expected in zip(derivatives(program), derivatives(LOSSES[name]), strict=True):
        assert_same(found, expected)


def derivatives(function: Function) -> tuple[torch.Tensor, ...]:
    x = leaf(1)
    loss = function(x)
    upstream = torch.arange(1.0, 3.0) if loss.ndim else None
    (gradient,) = torch.autograd.grad(loss, x, upstream, create_graph=True)
    (product,) = torch.autograd.grad(gradient.square().sum(), x)
    return loss, gradient, product


def test_a_gradient_through_vmap_inside_a_compiled_program_is_that_of_the_uncompiled() -> None:
    def loss(many: torch.Tensor) -> torch.Tensor:
        return torch.func.vmap(LOSSES["mean"])(many)

    found, expected = (torch.stack([leaf(0), leaf(1)]).detach().requires_grad_() for _ in range(2))
    torch.compile(loss, backend="aot_eager", fullgraph=True)(found).sum().backward()
    loss(expected).sum().backward()
    assert_same(found.grad, expected.grad)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("name", OTHERS)
def test_export_records_no_constant(name: str, strict: bool) -> None:
    with pytest.raises(RuntimeError, match=r"cannot be (traced: leave out|recorded by torch\.export)"):
        torch.export.export(Network(name), (leaf().detach(),), strict=strict)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_fake_and_meta_tensors_have_the_right_form_or_are_refused(name: str) -> None:
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        x = mode.from_tensor(leaf().detach())
        if name in LOSSES:
            expected = LOSSES[name](leaf()).shape
            assert LOSSES[name](x).shape == expected
        else:
            with pytest.raises(RuntimeError, match=f"{name}: found a fake tensor, .*; call {name} on a real tensor"):
                FUNCTIONS[name](x)
    if name in LOSSES:
        found = LOSSES[name](leaf().detach().to("meta"))
        assert (found.shape, found.device.type) == (LOSSES[name](leaf()).shape, "meta")


@pytest.mark.parametrize("name", ["ctc_loss", "lists", "CTCLoss"])
def test_symbolic_trace_records_one_call(name: str) -> None:
    if name == "CTCLoss":
        program = torch.fx.symbolic_trace(Scores())
    else:
        program = torch.fx.symbolic_trace(LOSSES[name])
    assert torch.equal(program(leaf(1)), LOSSES[name](leaf(1)))


def test_symbolic_trace_records_a_call_whatever_argument_is_the_input() -> None:
    by_keyword = torch.fx.symbolic_trace(lambda x: ctc_loss(targets=TARGETS[:, :2], logits=x))
    assert torch.equal(by_keyword(leaf(1)), ctc_loss(leaf(1), TARGETS[:, :2]))
    of_labels = torch.fx.symbolic_trace(lambda labels: ctc_loss(torch.zeros(2, 7, 4), labels))
    assert torch.equal(of_labels(TARGETS[:, :2]), ctc_loss(torch.zeros(2, 7, 4), TARGETS[:, :2]))


@pytest.mark.parametrize("name", sorted({*OTHERS} - {"cubes"}))
def test_symbolic_trace_is_refused_by_the_functions_that_it_cannot_record(name: str) -> None:
    with pytest.raises(RuntimeError, match=rf"{name} cannot be recorded by torch\.fx\.symbolic_trace"):
        torch.fx.symbolic_trace(OTHERS[name])


class Scores(torch.nn.Module):
    """CTCLoss as a module of a network."""

    def __init__(self) -> None:
        super().__init__()
        self.loss = CTCLoss(reduction="none")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.loss((x * 2).log_softmax(2).transpose(0, 1), TARGETS, FRAMES, LABELS)


@pytest.mark.parametrize("reduction", ["none", "mean"])
@pytest.mark.parametrize("gradient", [True, False])
def test_the_operators_pass_opcheck(gradient: bool, reduction: str) -> None:
    options = Options("ctc_loss", 0, True, "inf", reduction, None, True, 0)  # type: ignore[arg-type]
    x = leaf() if gradient else leaf().detach()
    opcheck(operators.ctc_loss_and_gradient, (x, TARGETS, FRAMES, LABELS, *options, gradient, True))
    opcheck(operators.ctc_loss_and_gradient, (x, ROW, None, LABELS, *options, gradient, True))
    if gradient:
        rest = (TARGETS, FRAMES, LABELS, torch.ones(2), 0, True, 0)
        opcheck(second_derivative.ctc_hessian_product, (leaf().detach(), leaf(1), *rest))
