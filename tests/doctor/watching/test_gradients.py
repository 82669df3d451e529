"""What reaches the optimiser is compared with the gradient of the loss, computed again."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from seqloss.doctor import watch

from .trainings import Network, make_batches, sgd, squared_error, train


def noise(model: nn.Module) -> None:
    for weight in model.parameters():
        assert weight.grad is not None
        weight.grad += torch.randn_like(weight)


def remove_gradient(model: Network) -> None:
    model.layers[0].weight.grad = None


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"zero": ()}, "gradients-not-zeroed"),
        ({"zero": (), "clip": 0.01}, "gradients-not-zeroed"),
        ({"window": 3, "divide": False}, "accumulation-not-averaged"),
        ({"window": 3, "zero": ("after", "each")}, "accumulated-gradients-lost"),
        ({"step": False}, "optimizer-not-stepped"),
    ],
)
def test_a_broken_loop_is_named_in_its_first_steps(options: dict[str, Any], name: str) -> None:
    found = train(Network(), **options).findings
    assert found.names == [name]
    assert found[0].evidence["step"] <= 3


@pytest.mark.parametrize(
    ("between", "name"),
    [(noise, "gradient-differs"), (remove_gradient, "gradient-missing"), (nn.Module.zero_grad, "gradient-missing")],
)
def test_changed_gradients_are_named(between: Any, name: str) -> None:
    model = Network()
    assert name in train(model, between=lambda: between(model)).findings.names


def test_a_scaled_loss_that_is_not_unscaled_is_named() -> None:
    model = Network()

    def scale() -> None:
        for weight in model.parameters():
            assert weight.grad is not None
            weight.grad *= 1024

    assert "gradient-scaled" in train(model, between=scale).findings.names


@pytest.mark.parametrize("unscale_first", [True, False])
def test_clipping_before_unscaling_is_named(unscale_first: bool) -> None:
    model = Network()
    optimizer = sgd(model)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)
    with watch(model, optimizer, scaler=scaler, share=1.0) as watched:
        for batch in make_batches():
            optimizer.zero_grad()
            scaler.scale(watched.step(squared_error, batch)).backward()
            if unscale_first:
                scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
    assert watched.findings.names == ([] if unscale_first else ["clipped-before-unscaling"])


@pytest.mark.parametrize(
    "options",
    [{}, {"window": 4}, {"clip": 0.01}, {"clip": 0.01, "window": 2}, {"window": 20, "steps": 3}],
    ids=str,
)
def test_accumulation_and_clipping_are_no_faults(options: dict[str, Any]) -> None:
    assert not train(Network(), **options).findings


def test_clipping_by_value_by_layer_and_added_decay_are_no_faults() -> None:
    for change in (clip_by_value, clip_by_layer, add_decay):
        model = Network()
        assert not train(model, between=lambda model=model, change=change: change(model)).findings  # type: ignore[misc]


def clip_by_value(model: nn.Module) -> None:
    nn.utils.clip_grad_value_(model.parameters(), 0.01)


def clip_by_layer(model: nn.Module) -> None:
    for weight in model.parameters():
        nn.utils.clip_grad_norm_([weight], 0.01)


def add_decay(model: nn.Module) -> None:
    for weight in model.parameters():
        assert weight.grad is not None
        weight.grad += 0.01 * weight.detach()


def test_a_loss_that_draws_from_its_own_generator_is_not_judged() -> None:
    generator = torch.Generator().manual_seed(0)

    def loss(model: nn.Module, batch: Any) -> torch.Tensor:
        return (model(batch[0] + torch.randn(batch[0].shape, generator=generator)) - batch[1]).square().mean()

    assert not train(Network(), loss=loss).findings


def test_state_that_a_model_carries_over_is_as_it_was() -> None:
    class Stateful(Network):
        seen: torch.Tensor | float = 0.0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.seen = 0.9 * self.seen + x.mean().detach()
            return super().forward(x) + self.seen

    assert not train(Stateful(), window=2).findings


class Positions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


def make_padded_batch(seed: int, lengths: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(len(lengths), max(lengths), 4, generator=generator)
    targets = torch.randint(3, (len(lengths), max(lengths)), generator=generator)
    targets[torch.arange(max(lengths)) >= torch.tensor(lengths)[:, None]] = -100
    return inputs, targets


def mean_over_positions(model: nn.Module, batch: Any) -> torch.Tensor:
    return nn.functional.cross_entropy(model(batch[0]).flatten(0, 1), batch[1].flatten())


def mean_over_rows(model: nn.Module, batch: Any) -> torch.Tensor:
    losses = nn.functional.cross_entropy(model(batch[0]).transpose(1, 2), batch[1], reduction="none")
    return (losses.sum(1) / (batch[1] >= 0).sum(1)).mean()


@pytest.mark.parametrize(
    ("loss", "sizes", "names"),
    [
        (mean_over_positions, [[2, 3, 1], [9, 7, 8]], ["mean-of-means"]),
        (mean_over_positions, [[5, 6, 5], [6, 5, 4]], []),
        (mean_over_rows, [[2, 3, 1], [9, 7, 8]], []),
    ],
)
def test_a_mean_of_means_over_uneven_batches_is_named(loss: Any, sizes: Any, names: list[str]) -> None:
    batches = [make_padded_batch(seed, lengths) for seed, lengths in enumerate(sizes)]
    assert train(Positions(), loss=loss, batches=batches, window=2).findings.names == names
