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
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from seqloss.torch import (
    CTCLoss,
    ctc_align,
    ctc_check,
    ctc_greedy,
    ctc_loss,
    ctc_posteriors,
    from_loss_and_grad,
)

TARGETS, FRAMES, LABELS = torch.tensor([[1, 2, 2], [3, 1, 0]]), torch.tensor([7, 5]), torch.tensor([3, 2])
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
Function = Callable[[torch.Tensor], Any]


def cubes(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (x**3).sum((1, 2)), 3 * x**2


custom = from_loss_and_grad(cubes)
module = CTCLoss(reduction="none")

LOSSES: dict[str, Function] = {
    "ctc_loss": lambda x: ctc_loss(x * 2, TARGETS, FRAMES, LABELS),
    "CTCLoss": lambda x: module((x * 2).log_softmax(2).transpose(0, 1), TARGETS, FRAMES, LABELS),
    "cubes": lambda x: custom(x * 2),
}
OTHERS: dict[str, Function] = {
    "ctc_align": lambda x: ctc_align(x * 2, TARGETS, FRAMES, LABELS).total,
    "ctc_posteriors": lambda x: ctc_posteriors(x * 2, TARGETS, FRAMES, LABELS),
    "ctc_greedy": lambda x: torch.tensor([row.score for row in ctc_greedy(x * 2, FRAMES)]),
    "ctc_check": lambda x: torch.tensor(len(ctc_check(x * 2, TARGETS, FRAMES, LABELS).findings)),
}
FUNCTIONS = LOSSES | OTHERS
BY_OPERATORS = {"ctc_loss", "CTCLoss"} if INTERPRETED else set()
"""What the Triton kernels do by operators that can be recorded."""

SYMBOLIC = {"tracing_mode": "symbolic", "_allow_non_fake_inputs": True}


@pytest.fixture(autouse=True)
def nothing_compiled_yet() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def leaf(seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(2, 7, 4))).float().requires_grad_()


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_torch_compile_gives_the_same_bits(backend: str, name: str) -> None:
    program = torch.compile(FUNCTIONS[name], backend=backend)
    for seed in range(2):
        x, y = leaf(seed), leaf(seed)
        found, expected = program(x), FUNCTIONS[name](y)
        assert torch.equal(found, expected)
        if name in LOSSES:
            found.sum().backward()
            expected.sum().backward()
            torch.testing.assert_close(x.grad, y.grad, rtol=0, atol=0)


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


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - BY_OPERATORS))
def test_fullgraph_is_an_error_that_names_the_reason(name: str) -> None:
    with pytest.raises(RuntimeError, match="cannot be traced: leave out fullgraph=True, or call it outside"):
        torch.compile(FUNCTIONS[name], backend="eager", fullgraph=True)(leaf())


@pytest.mark.parametrize("options", [{}, {"pre_dispatch": True}, SYMBOLIC], ids=str)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_make_fx_records_no_constant(name: str, options: dict[str, Any]) -> None:
    function = FUNCTIONS[name]
    if name in BY_OPERATORS:
        program = make_fx(function, **options)(leaf().detach())
        other = leaf(1).detach()
        assert torch.equal(program(other), function(other))
    else:
        with pytest.raises(RuntimeError, match=f"{name} cannot be recorded by make_fx: .*call {name} on its output"):
            make_fx(function, **options)(leaf().detach())


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.filterwarnings("ignore")
def test_jit_trace_records_no_constant(name: str) -> None:
    with pytest.raises(RuntimeError, match=rf"{name} cannot be recorded by torch\.jit\.trace"):
        torch.jit.trace(FUNCTIONS[name], leaf().detach())


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_export_records_no_constant(name: str, strict: bool) -> None:
    class Network(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> Any:
            return FUNCTIONS[name](x)

    if name in BY_OPERATORS:
        program = torch.export.export(Network(), (leaf().detach(),), strict=strict).module()
        other = leaf(1).detach()
        assert torch.equal(program(other), FUNCTIONS[name](other))
    else:
        with pytest.raises(RuntimeError, match=r"cannot be (traced: leave out|recorded by torch\.export)"):
            torch.export.export(Network(), (leaf().detach(),), strict=strict)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_fake_tensors_have_the_right_form_or_are_refused(name: str) -> None:
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        x = mode.from_tensor(leaf().detach())
        if name in BY_OPERATORS:
            assert FUNCTIONS[name](x).shape == (2,)
        else:
            with pytest.raises(RuntimeError, match=f"{name}: found a fake tensor, .*; call {name} on a real tensor"):
                FUNCTIONS[name](x)
