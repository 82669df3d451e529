"""Recurrent layers remember: forget gates are open, and the last state depends on the first input."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from seqloss.doctor.findings import Finding
from seqloss.doctor.subject import NotChecked, Subject

CLOSED = 0.2
"""Mean of a forget gate: what is left of a state after each step. It is 0.5 or more as layers are initialised."""

STEPS = 8

GRADIENT_CODE = """\
x = torch.randn(1, 8, layer.input_size, requires_grad=True)
layer(x)[0][:, -1].sum().backward()
print(x.grad[0].abs().sum(1))
"""

CODE = """\
size = lstm.hidden_size
bias = lstm.bias_ih_l0 + lstm.bias_hh_l0
print(bias[size : 2 * size].sigmoid().mean())
"""


def check(subject: Subject) -> Iterator[Finding]:
    layers = {name: layer for name, layer in subject.model.named_modules()
              if _is_lstm(layer) or isinstance(layer, nn.GRU)}  # fmt: skip
    if not layers:
        raise NotChecked("the model has no LSTM and no GRU")
    blocked = {f"{name}.{gate}": share for name, layer in layers.items() if _is_lstm(layer)
               for gate, share in _gates(layer).items() if share < CLOSED}  # fmt: skip
    forgetful = [name for name, layer in layers.items() if isinstance(layer, nn.RNNBase) and not _remembers(layer)]
    if forgetful and not blocked:
        yield Finding(
            "layer-blocked", "error", {"layers": forgetful, "steps": STEPS},
            f"the state after {STEPS} steps does not depend on the first input: the gradient is exactly 0",
            "Look at the weights and biases of the gates: some are saturated, or 0", GRADIENT_CODE,
        )  # fmt: skip
    if blocked:
        yield Finding(
            "layer-blocked", "error", {"mean of forget gates": min(blocked.values()), "layers": list(blocked)},
            "forget gates are closed: after a few steps nothing is left of a state, and no gradient goes back in time",
            "Initialise the bias of the forget gate with 1, or leave it as the layer makes it", CODE,
        )  # fmt: skip


def _remembers(layer: nn.RNNBase) -> bool:
    """Whether the last output from left to right depends on the first of a few random inputs."""
    layer.eval()
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(STEPS, 1, layer.input_size, generator=generator)
    x = x.to(next(layer.parameters())).requires_grad_()
    with torch.enable_grad():
        outputs = layer(x.transpose(0, 1) if layer.batch_first else x)[0]
        last = outputs.reshape(STEPS, -1)[-1].chunk(2 if layer.bidirectional else 1)[0]
        (gradient,) = torch.autograd.grad(last.square().sum(), x)
    return bool(gradient[0].any())


def _is_lstm(layer: nn.Module) -> bool:
    if isinstance(layer, nn.LSTM | nn.LSTMCell):
        return True
    return getattr(layer, "kind", None) == "lstm" and any(name.startswith("bias_ih") for name in layer._parameters)


def _gates(layer: nn.Module) -> dict[str, float]:
    """The mean of the forget gate for an input of 0, for each layer and direction."""
    found = {}
    for name, bias in layer.named_parameters(recurse=False):
        if name.startswith("bias_ih"):
            other = getattr(layer, name.replace("_ih", "_hh"), None)
            total = bias.detach() + (other.detach() if isinstance(other, Tensor) else 0)
            found[name] = float(torch.sigmoid(total.chunk(4)[1]).mean())
    return found
