"""What follows the last layer: found by changing its weights."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqloss.doctor import examine
from seqloss.doctor.last_layer import scaled_last_layer
from seqloss.doctor.subject import Subject

BATCH = (torch.randn(12, 5, generator=torch.Generator().manual_seed(0)), torch.arange(12) % 5)


class Ending(nn.Module):
    """Few of its outputs are below 0 with the first weights."""

    def __init__(self, end: Callable[[Tensor], Tensor], bias: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.head, self.end = nn.Linear(5, 16), nn.Linear(16, 5), end
        with torch.no_grad():
            self.head.bias += bias

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self.head(self.first(x).tanh()))


def names(end: Callable[[Tensor], Tensor], loss: Callable[..., Tensor], bias: float = 0.0) -> list[str]:
    return examine(Ending(end, bias), [BATCH], lambda model, batch: loss(model(batch[0]), batch[1])).names


@pytest.mark.parametrize("bias", [-1.0, 0.0, 0.5, 3.0])
def test_a_relu_is_found_whatever_share_of_outputs_it_clips(bias: float) -> None:
    found = names(torch.relu, F.cross_entropy, bias)
    assert ("outputs-clipped" in found) or (bias < 0 and "outputs-constant" in found)


@pytest.mark.parametrize("end", [nn.Identity(), F.softplus, F.leaky_relu, F.gelu, torch.exp, torch.square])
def test_other_outputs_are_not_clipped(end: Callable[[Tensor], Tensor]) -> None:
    for bias in (0.0, 3.0):
        assert "outputs-clipped" not in names(end, F.cross_entropy, bias)


def log_of_softmax(x: Tensor) -> Tensor:
    return x.softmax(-1).log_softmax(-1)


@pytest.mark.parametrize(
    ("end", "expected"),
    [(log_of_softmax, ["softmax-twice"]), (torch.nn.LogSoftmax(-1), []), (lambda x: x.softmax(-1).log(), [])],
)
def test_a_log_softmax_of_probabilities_is_named(end: Callable[[Tensor], Tensor], expected: list[str]) -> None:
    assert names(end, F.nll_loss) == expected


def test_a_head_of_zeros_is_no_second_softmax() -> None:
    model = Ending(nn.LogSoftmax(-1))
    nn.init.zeros_(model.head.weight)
    nn.init.zeros_(model.head.bias)
    assert "softmax-twice" not in examine(model, [BATCH], lambda model, b: F.nll_loss(model(b[0]), b[1])).names


def test_the_weights_are_as_before() -> None:
    model = Ending(nn.Identity())
    before = [weight.detach().clone() for weight in model.parameters()]
    subject = Subject(model, [BATCH], lambda model, batch: F.cross_entropy(model(batch[0]), batch[1]))
    with scaled_last_layer(subject, 1e4) as is_scaled:
        assert is_scaled
        assert model.head.weight.abs().max() > 100
    assert all(map(torch.equal, before, model.parameters()))
