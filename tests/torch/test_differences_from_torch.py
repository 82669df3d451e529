"""Where the drop-ins differ from PyTorch's loss on purpose. Each test asserts both, so that the list stays true.

`docs/guides/moving-over.md` has one row for each, in the same words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tests.pages import read_page

from seqloss import errors
from seqloss.torch import CTCLoss, functional

TORCH = torch.nn.functional.ctc_loss
OURS = functional.ctc_loss
TARGETS, FRAMES, LABELS = torch.tensor([[1, 2, 2], [3, 1, 1]]), torch.tensor([7, 5]), torch.tensor([3, 2])
Loss = Callable[..., Any]


def scores(classes: int = 4) -> torch.Tensor:
    values = np.random.default_rng(0).normal(size=(7, 2, classes))
    return torch.from_numpy(values).float().log_softmax(2)


def call(loss: Loss, **changed: Any) -> Any:
    given = {"log_probs": scores(), "targets": TARGETS, "input_lengths": FRAMES, "target_lengths": LABELS}
    return loss(**given | changed)


def gradient(loss: Loss, log_probs: torch.Tensor, **changed: Any) -> torch.Tensor:
    x = log_probs.detach().requires_grad_()
    return torch.autograd.grad(call(loss, log_probs=x, **changed).sum(), x)[0]


class Subclass(torch.Tensor):
    """Keeps its class in PyTorch's functions."""


REFUSED: dict[str, tuple[dict[str, Any], type[Exception]]] = {
    "a label that is the blank": ({"targets": torch.tensor([[1, 0, 2], [3, 1, 1]])}, errors.LabelError),
    # the classes that torch reads past the last one are those of the wider array
    "a label that is no class": ({"log_probs": scores(6)[..., :3]}, errors.LabelError),
    "probabilities in place of log-probabilities": ({"log_probs": scores().exp()}, errors.NormalizationError),
    "labels that are floats or bools": ({"targets": TARGETS.float()}, errors.DTypeError),
    "lengths of shape (batch, 1)": (
        {"input_lengths": FRAMES[:, None], "target_lengths": LABELS[:, None]},
        errors.ShapeError,
    ),
    "`blank` as a tensor": ({"blank": torch.tensor(0)}, errors.DTypeError),
    'the outdated `reduction="elementwise_mean"`': ({"reduction": "elementwise_mean"}, errors.OptionError),
}
"""What torch accepts and we refuse."""

ACCEPTED: dict[str, dict[str, Any]] = {
    "float16 and bfloat16 on the CPU": {"log_probs": scores().half()},
    "an empty batch, and no frames": {
        "log_probs": torch.zeros(0, 2, 4), "input_lengths": [0, 0], "target_lengths": [0, 0],
    },
    "a negative `blank`": {"targets": TARGETS.clamp(max=2), "blank": -1},
    "targets and lengths as lists and arrays, in any mixture": {"targets": TARGETS.tolist(), "input_lengths": [7, 5]},
    "numbers as the lengths of a single row": {
        "log_probs": scores()[:, 0], "targets": TARGETS[0], "input_lengths": 7, "target_lengths": 3,
    },
    "any truth value as `zero_infinity`": {"zero_infinity": 1},
    "lengths as tensors with scores on the meta device": {"log_probs": scores().to("meta")},
}  # fmt: skip
"""What torch refuses and we accept."""


@pytest.mark.filterwarnings("ignore:reduction='elementwise_mean'")
@pytest.mark.parametrize("name", REFUSED)
def test_torch_accepts_and_we_refuse(name: str) -> None:
    changed, kind = REFUSED[name]
    call(TORCH, **changed)
    with pytest.raises(kind) as caught:
        call(OURS, **changed)
    assert isinstance(caught.value, RuntimeError)


@pytest.mark.parametrize("name", ACCEPTED)
def test_torch_refuses_and_we_accept(name: str) -> None:
    changed = ACCEPTED[name]
    call(OURS, **changed)
    with pytest.raises((RuntimeError, TypeError)):
        call(TORCH, **changed)


def infeasible(loss: Loss) -> float:
    return gradient(loss, scores(), input_lengths=torch.tensor([2, 5]), reduction="sum")[0, 0, 0].item()


def masked(loss: Loss) -> float:
    x = scores(5)
    x[..., 4] = -torch.inf
    return gradient(loss, x)[0, 0, 4].item()


def second_derivative(loss: Loss) -> str:
    x = scores().requires_grad_()
    (first,) = torch.autograd.grad(call(loss, log_probs=x.log_softmax(2)), x, create_graph=True)
    return outcome(lambda: torch.autograd.grad(first.square().sum(), x))


def forward_mode(loss: Loss) -> str:
    return outcome(lambda: torch.func.jvp(lambda x: call(loss, log_probs=x), (scores(),), (scores(),)))


def compiled(loss: Loss) -> str:
    torch.compiler.reset()
    program = torch.compile(lambda x: loss(x, TARGETS, FRAMES, LABELS), backend="eager", fullgraph=True)
    return outcome(lambda: program(scores()))


def exported(loss: Loss) -> str:
    class Module(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> Any:
            return loss(x, TARGETS, FRAMES, LABELS)

    return outcome(lambda: torch.export.export(Module(), (scores(),)))


def scripted(loss: Loss) -> str:
    module = torch.nn.CTCLoss() if loss is TORCH else CTCLoss()
    return outcome(lambda: torch.jit.script(module))


def recorded(loss: Loss) -> str:
    return outcome(lambda: torch.jit.trace(lambda x: call(loss, log_probs=x), scores()))


def misspelled(loss: Loss) -> str:
    kind: Any = torch.nn.CTCLoss if loss is TORCH else CTCLoss
    return outcome(lambda: kind(reduction="Mean"))


def lazily_cloned(loss: Loss) -> str:
    x = torch._lazy_clone(scores())
    call(loss, log_probs=x)
    return "shared" if torch._C._is_cow_tensor(x) else "copied"


def inference_targets(loss: Loss) -> str:
    with torch.inference_mode():
        targets = TARGETS.clone()
    return outcome(lambda: gradient(loss, scores(), targets=targets))


def outcome(action: Callable[[], Any]) -> str:
    try:
        action()
    except Exception:
        return "error"
    return "works"


def plain_class(loss: Loss) -> str:
    return "its class" if isinstance(call(loss, log_probs=scores().as_subclass(Subclass)), Subclass) else "a tensor"


def kind_of_module(loss: Loss) -> bool:
    return isinstance(torch.nn.CTCLoss() if loss is TORCH else CTCLoss(), torch.nn.CTCLoss)


NAN = "nan"
BEHAVIOUR: dict[str, tuple[Callable[[Loss], Any], tuple[Any, Any]]] = {
    "gradient of an infeasible row": (infeasible, (NAN, 0.0)),
    "gradient of a score of -inf": (masked, (NAN, 0.0)),
    "second derivatives": (second_derivative, ("error", "works")),
    "forward mode": (forward_mode, ("error", "works")),
    "`torch.compile(fullgraph=True)`": (compiled, ("error", "works")),
    "`torch.export`": (exported, ("error", "works")),
    "targets from inference mode, with a gradient": (inference_targets, ("error", "works")),
    "`torch.jit.script`": (scripted, ("works", "error")),
    "`torch.jit.trace`": (recorded, ("works", "error")),
    "an unknown `reduction` in the constructor": (misspelled, ("works", "error")),
    "`isinstance(loss, torch.nn.CTCLoss)`": (kind_of_module, (True, False)),
    "the loss of a subclass of Tensor": (plain_class, ("its class", "a tensor")),
    "a lazy clone (`torch._lazy_clone`)": (lazily_cloned, ("shared", "copied")),
}
"""What torch and we do."""


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("name", BEHAVIOUR)
def test_the_same_call_behaves_otherwise(name: str) -> None:
    observe, expected = BEHAVIOUR[name]
    found = observe(TORCH), observe(OURS)
    assert tuple(NAN if x != x else x for x in found) == expected


def test_the_page_lists_these_differences_and_no_others() -> None:
    section = read_page("docs/guides/moving-over.md").split("\n### Differences from PyTorch\n")[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    names = [row[0].strip() for row in rows if not set(row[0]) <= set("- ") and row[0].strip() != "case"]
    assert names == [*REFUSED, *ACCEPTED, *BEHAVIOUR]
