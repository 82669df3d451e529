"""Each law names its fault, says nothing about a healthy training, and leaves everything as it was."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from seqloss.doctor import Findings, examine
from seqloss.errors import DTypeError, OptionError
from seqloss.torch import ctc_loss
from seqloss.torch.nn import Recurrent
from seqloss.torch.nn.padding import mask_padding


class Batch(NamedTuple):
    features: Tensor  # (batch, time, 4)
    lengths: Tensor
    targets: Tensor
    target_lengths: Tensor


def make_batch(seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.tensor([12, 9, 16, 7, 11])
    features = mask_padding(torch.randn(5, 16, 4, generator=generator), lengths)
    targets = torch.randint(1, 5, (5, 3), generator=generator)
    return Batch(features, lengths, targets, torch.tensor([3, 2, 3, 1, 2]))


BATCHES = [make_batch(0), make_batch(1)]


class Reader(nn.Module):
    """A convolution that halves the frames, an LSTM that reads both ways, a linear layer: healthy."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.convolve = nn.Conv1d(4, 8, 3, stride=2, padding=1)
        self.recurrent = Recurrent("lstm", 8, 8, bidirectional=True)
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(16, 6)

    def encode(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x = self.convolve(mask_padding(x, lengths).transpose(1, 2)).transpose(1, 2)
        lengths = (lengths + 1) // 2
        return self.recurrent(x, lengths)[0], lengths

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x, lengths = self.encode(x, lengths)
        return mask_padding(self.head(self.dropout(x)), lengths), lengths


def loss(model: nn.Module, batch: Batch) -> Tensor:
    logits, lengths = model(batch.features, batch.lengths)
    return ctc_loss(logits, batch.targets, lengths, batch.target_lengths, reduction="mean")


def names(model: nn.Module, loss: Callable[..., Any] = loss, **options: Any) -> list[str]:
    return examine(model, BATCHES, loss, **options).names


def training(model: nn.Module) -> dict[str, Any]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, step / 10))
    return {"optimizer": optimizer, "scheduler": schedule, "steps": 100}


def test_a_healthy_training_has_no_finding_and_every_law_is_checked() -> None:
    model = Reader()
    found = examine(model, BATCHES, loss, **training(model))
    assert not found, str(found)
    assert found.not_checked == {}
    assert found.exit_code == 0
    assert str(found) == "nothing found; checked: ledger, mode, rows, pairing, locality, outputs, loss, schedule"


# --- the ledger of weights


class Detached(Reader):
    def encode(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x, lengths = super().encode(x, lengths)
        return x.detach(), lengths


class Unused(Reader):
    def __init__(self) -> None:
        super().__init__()
        self.forgotten = nn.Linear(3, 3)


class Argmax(Reader):
    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x, lengths = super().forward(x, lengths)
        return x.detach(), lengths


@pytest.mark.parametrize(
    ("kind", "name"),
    [(Detached, "weights-unused"), (Unused, "weights-unused"), (Argmax, "loss-without-gradient")],
)
def test_weights_outside_of_the_graph_are_named(kind: type[Reader], name: str) -> None:
    assert name in names(kind())


def test_frozen_weights_are_no_finding() -> None:
    model = Reader()
    model.convolve.requires_grad_(False)
    optimizer = torch.optim.Adam([weight for weight in model.parameters() if weight.requires_grad])
    assert names(model, optimizer=optimizer) == []


def test_an_optimizer_without_some_weights_or_with_others_is_named() -> None:
    model = Reader()
    some = torch.optim.Adam(model.recurrent.parameters())
    found = examine(model, BATCHES, loss, optimizer=some)
    assert found.names == ["weights-not-in-optimizer"]
    assert found[0].evidence["weights"] == ["convolve.weight", "convolve.bias", "head.weight", "head.bias"]
    every = torch.optim.Adam(model.parameters())
    model.head = nn.Linear(16, 6)
    assert names(model, optimizer=every) == ["optimizer-holds-other-weights", "weights-not-in-optimizer"] or set(
        names(model, optimizer=every)
    ) == {"weights-not-in-optimizer", "optimizer-holds-other-weights"}


def test_a_learning_rate_of_0_moves_nothing() -> None:
    model = Reader()
    assert names(model, optimizer=torch.optim.SGD(model.parameters(), lr=0.0)) == ["weights-not-moved"]


# --- rows


class OverTheBatch(Reader):
    def __init__(self) -> None:
        super().__init__()
        self.recurrent = nn.LSTM(8, 8, bidirectional=True)  # without batch_first

    def encode(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x = self.convolve(mask_padding(x, lengths).transpose(1, 2)).transpose(1, 2)
        return self.recurrent(x)[0], (lengths + 1) // 2


class Attention(Reader):
    """Without a mask: the padding has weights too."""

    def encode(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x, lengths = super().encode(x, lengths)
        return (x @ x.transpose(1, 2)).softmax(2) @ x + x.mean(1, keepdim=True), lengths


class NormOverPadding(Reader):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(8)

    def encode(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x = self.norm(self.convolve(mask_padding(x, lengths).transpose(1, 2))).transpose(1, 2)
        lengths = (lengths + 1) // 2
        return self.recurrent(x, lengths)[0], lengths


def test_rows_that_reach_each_other_are_named() -> None:
    assert "outputs-depend-on-order" in names(OverTheBatch())


@pytest.mark.parametrize(
    ("kind", "name"), [(Attention, "row-depends-on-batch"), (NormOverPadding, "padding-reaches-rows")]
)
def test_padding_that_reaches_rows_is_named(kind: type[Reader], name: str) -> None:
    assert name in names(kind())


def test_targets_in_another_order_than_inputs_are_named() -> None:
    def sort_inputs_only(model: nn.Module, batch: Batch) -> Tensor:
        order = batch.lengths.argsort()
        logits, lengths = model(batch.features, batch.lengths)
        return ctc_loss(logits[order], batch.targets, lengths[order], batch.target_lengths, reduction="mean")

    assert names(Reader(), sort_inputs_only) == ["loss-depends-on-order"]


def test_targets_that_are_broadcast_are_named() -> None:
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
    batch = {"x": torch.randn(6, 3), "y": torch.randn(6)}

    def squared(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        return (model(batch["x"]) - batch["y"]).square().mean()

    assert examine(model, [batch], squared).names == ["targets-not-paired"]
    right = examine(model, [batch], lambda model, batch: (model(batch["x"])[:, 0] - batch["y"]).square().mean())
    assert right.names == []


# --- modes, inputs, outputs, losses


class Restless(Reader):
    def encode(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x, lengths = super().encode(x, lengths)
        return nn.functional.dropout(x, 0.3), lengths


class StuckInEvaluation(Reader):
    def train(self, mode: bool = True) -> StuckInEvaluation:
        super().train(mode)
        self.dropout.eval()
        return self


class Deaf(Reader):
    def encode(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        return super().encode(0 * x + 1, lengths)


class Cut(Reader):
    def encode(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        kept = (lengths + 1) // 2
        return super().encode(x[:, : int(kept.max())], kept)


class Clipped(Reader):
    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x, lengths = super().forward(x, lengths)
        return x.relu(), lengths


class Probabilities(Reader):
    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x, lengths = self.encode(x, lengths)
        return self.head(x).softmax(2), lengths


class NotANumber(Reader):
    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x, lengths = super().forward(x, lengths)
        return (x - 1e4).sqrt(), lengths


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (Restless, "evaluation-is-random"),
        (StuckInEvaluation, "layers-stay-in-evaluation"),
        (Deaf, "input-ignored"),
        (Cut, "input-steps-unused"),
        (Clipped, "outputs-clipped"),
        (Probabilities, "softmax-twice"),
        (NotANumber, "outputs-not-finite"),
    ],
)
def test_what_a_model_does_wrong_is_named(kind: type[Reader], name: str) -> None:
    assert name in names(kind())


def test_scores_for_log_probabilities_are_named() -> None:
    def with_torch(model: nn.Module, batch: Batch) -> Tensor:
        logits, lengths = model(batch.features, batch.lengths)
        return nn.functional.ctc_loss(
            logits.transpose(0, 1), batch.targets, lengths, batch.target_lengths, zero_infinity=True
        )

    assert "scores-not-normalized" in names(Reader(), with_torch)


def test_large_last_weights_are_a_warning() -> None:
    model = Reader()
    with torch.no_grad():
        model.head.weight *= 200
    found = examine(model, BATCHES, loss)
    assert [(finding.name, finding.severity) for finding in found] == [("first-loss-too-high", "warning")]
    assert found.exit_code == 0


# --- the schedule


@pytest.mark.parametrize(
    ("factor", "expected"),
    [
        (lambda step: max(0.0, 1 - step / 20), ["learning-rate-ends-early"]),
        (lambda step: (step + 1) / 200, ["warm-up-never-ends"]),
        (lambda step: 1 - step / 50, ["learning-rate-invalid"]),
        (lambda step: max(0.0, 1 - step / 100), []),
        (lambda step: 1.0, []),
    ],
)
def test_schedules_that_do_not_fit_the_training_are_named(factor: Callable[[int], float], expected: list[str]) -> None:
    model = Reader()
    optimizer = torch.optim.Adam(model.parameters())
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    assert names(model, optimizer=optimizer, scheduler=schedule, steps=100) == expected


# --- everything as it was


class Stateful(Reader):
    """Counts its calls, keeps the last states, and has a buffer that it writes to."""

    def __init__(self) -> None:
        super().__init__()
        self.calls, self.last = 0, torch.zeros(3)
        self.seen: list[int] = []
        self.register_buffer("total", torch.zeros(()))
        self.norm = nn.BatchNorm1d(4)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        self.calls += 1
        self.last += 1
        self.seen.append(len(x))
        self.total += float(x.sum())
        self.norm(x.transpose(1, 2))
        return super().forward(x, lengths)


def everything(model: Stateful, options: dict[str, Any]) -> list[Any]:
    tensors = [*model.state_dict().values(), model.last, *(weight.grad for weight in model.parameters())]
    return [
        [tensor.clone() for tensor in tensors if tensor is not None],
        [copy.deepcopy(options["optimizer"].state_dict()), copy.deepcopy(options["scheduler"].state_dict())],
        [model.calls, list(model.seen), [module.training for module in model.modules()]],
        [random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()],
    ]


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return bool(torch.equal(one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)


@pytest.mark.parametrize("mode", [True, False])
def test_model_optimizer_schedule_and_random_states_are_as_before(mode: bool) -> None:
    model = Stateful().train(mode)
    model.norm.eval()
    options = training(model)
    loss(model, BATCHES[0]).backward()
    options["optimizer"].step()
    options["scheduler"].step()
    before = everything(model, options)
    gradients = [weight.grad for weight in model.parameters()]
    examine(model, BATCHES, loss, **options)
    after = everything(model, options)
    for one, other in zip(before, after, strict=True):
        assert equal(one, other)
    assert all(one is weight.grad for one, weight in zip(gradients, model.parameters(), strict=True))


def test_a_graph_of_the_caller_can_still_be_used() -> None:
    model = Reader()
    kept = loss(model, BATCHES[0])
    examine(model, BATCHES, loss)
    kept.backward()


# --- the interface


def test_an_error_of_the_loss_is_the_callers() -> None:
    def broken(model: nn.Module, batch: Batch) -> Tensor:
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        examine(Reader(), BATCHES, broken)
    with pytest.raises(TypeError, match=r"loss: found shape \(5,\), expected a tensor with one number"):
        examine(Reader(), BATCHES, lambda model, batch: model(batch.features, batch.lengths)[0].sum((1, 2)))


def test_mistakes_are_named() -> None:
    with pytest.raises(DTypeError, match=r"model: .*function"):
        examine(loss, BATCHES, loss)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="batches: found none"):
        examine(Reader(), iter(()), loss)


def test_what_cannot_be_checked_says_why() -> None:
    model = nn.Linear(3, 2)
    found = examine(model, [torch.randn(1, 3)], lambda model, batch: model(batch).square().mean())
    assert found.not_checked["rows"] == "the first batch has one row"
    assert found.not_checked["schedule"] == "scheduler, optimizer and steps are needed"


def test_time_is_limited() -> None:
    found = examine(Reader(), BATCHES, loss, seconds=0.0)
    assert found.checked == ()
    assert set(found.not_checked.values()) == {"0 seconds were over"}


def test_findings_are_text_json_and_a_table() -> None:
    found: Findings = examine(Unused(), BATCHES, loss)
    assert str(found).startswith("error: weights-unused: the loss does not depend on these weights")
    read = json.loads(found.to_json())
    assert read["findings"][0]["evidence"]["weights"] == ["forgotten.weight", "forgotten.bias"]
    assert found.table().row_count == 1
    assert found.exit_code == 1


def loader() -> Iterator[Batch]:
    yield from BATCHES
    raise AssertionError("a third batch is not needed")


def test_two_batches_of_a_loader_are_enough() -> None:
    assert not examine(Reader(), loader(), loss)
