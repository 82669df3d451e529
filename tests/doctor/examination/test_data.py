"""Faults of the data are named, and their healthy neighbours are not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seqloss.doctor import Findings, examine
from seqloss.torch.nn.padding import mask_padding

from .models import BATCHES, Batch, Reader, loss, make_batch


def found(batches: Any, model: nn.Module | None = None, loss: Any = loss, **options: Any) -> Findings:
    return examine(model or Reader(), batches, loss, **options)


def many(count: int = 10) -> list[Batch]:
    return [make_batch(seed) for seed in range(count)]


def test_healthy_batches_have_no_finding() -> None:
    findings = found(many(), held_out=[make_batch(100)])
    assert findings.names == [], str(findings)
    assert {"frames", "inputs", "input range", "repeats", "order"} <= set(findings.checked)


class Strided(Reader):
    """Keeps a frame of 4: 8 input steps for each."""

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x, lengths = super().forward(x, lengths)
        return x[:, ::4], (lengths + 3) // 4


def with_torch(model: nn.Module, batch: Batch) -> Tensor:
    logits, lengths = model(batch.features, batch.lengths)
    log_probs = logits.log_softmax(2).transpose(0, 1)
    return nn.functional.ctc_loss(log_probs, batch.targets, lengths, batch.target_lengths, zero_infinity=True)


def test_texts_that_do_not_fit_their_frames_are_named() -> None:
    findings = found(BATCHES, Strided(), with_torch)
    assert findings.names == ["texts-too-long"]
    evidence = findings[0].evidence
    assert (evidence["rows"], evidence["of"], evidence["input steps for each frame"]) == (6, 10, 8)
    assert evidence["would fit"] == "all at subsampling 3"
    assert evidence["such as"][0] == "batch 0, row 0: 4 frames needed, 2 found"
    assert found(BATCHES, Reader(), with_torch).names == []


def test_one_text_that_does_not_fit_is_named_with_its_row() -> None:
    batch = make_batch(0)
    long = batch._replace(targets=batch.targets.repeat(1, 3), target_lengths=torch.tensor([3, 2, 9, 1, 2]))
    findings = found([make_batch(1), long], loss=with_torch)
    assert findings.names == ["texts-too-long"]
    assert findings[0].evidence["such as"] == ["batch 1, row 2: 12 frames needed, 8 found"]


def changed(change: Callable[[Tensor], None], number: int = 1) -> list[Batch]:
    """Healthy batches, one of which is changed in place."""
    batches = many(4)
    change(batches[number].features)
    return batches


def silence(x: Tensor) -> None:
    x[2] = 0.25


def not_a_number(x: Tensor) -> None:
    x[2, 3] = torch.nan


def mask(x: Tensor) -> None:
    x[:, 2:] = 0


@pytest.mark.parametrize(
    ("change", "name", "place"),
    [
        (silence, "inputs-silent", ["batch 1, row 2"]),
        (not_a_number, "inputs-not-finite", ["batch 1, row 2"]),
    ],
)
def test_a_row_without_content_is_named(change: Callable[[Tensor], None], name: str, place: list[str]) -> None:
    findings = found(changed(change))
    assert findings.names == [name]
    assert findings[0].evidence["such as"] == place


def test_rows_that_are_masked_away_are_named() -> None:
    batches = many(4)
    for batch in batches:
        mask(batch.features)
    assert "inputs-masked" in found(batches).names
    fewer = many(4)
    for batch in fewer:
        batch.features[:, 2:6] = 0
    assert found(fewer).names == []


class Standardising(Reader):
    """Of each row; the deviation of one frame is NaN."""

    def encode(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        rows = [(row[:n] - row[:n].mean(0)) / row[:n].std(0) for row, n in zip(x, lengths.tolist(), strict=True)]
        return super().encode(nn.utils.rnn.pad_sequence(rows, batch_first=True), lengths)


@pytest.mark.filterwarnings("ignore:std")
def test_a_row_of_one_frame_that_becomes_nan_is_named() -> None:
    batch = make_batch(1)
    lengths, target_lengths = torch.tensor([12, 1, 16, 7, 11]), torch.tensor([3, 1, 3, 1, 2])
    short = batch._replace(
        features=mask_padding(batch.features, lengths), lengths=lengths, target_lengths=target_lengths
    )
    batches = [make_batch(0), make_batch(2), short]
    assert "short-rows-not-finite" in found(batches, Standardising(), with_torch).names
    assert "short-rows-not-finite" not in found(batches, Reader(), with_torch).names
    assert "short-rows-not-finite" not in found(many(3), Standardising(), with_torch).names


class Picture(nn.Module):
    def __init__(self, scale: float = 1.0, last: nn.Module | None = None) -> None:
        super().__init__()
        self.scale, self.last = scale, last or nn.Identity()
        self.first, self.head = nn.Linear(64, 16), nn.Linear(16, 64)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.head(self.first(x.float().flatten(1) / self.scale).tanh()))


def reconstruct(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return (model(batch[0]) - batch[1]).square().mean()


def pictures(seed: int, scale: float = 1.0, shift: float = 0.0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (6, 8, 8), generator=generator).float()
    return pixels / scale + shift, pixels.flatten(1) / 255


@pytest.mark.parametrize(
    ("batch", "model", "names"),
    [
        (pictures(0, 255), Picture(), []),
        (pictures(0), Picture(), ["inputs-not-scaled"]),
        (pictures(0), Picture(255), []),  # the model itself divides
        (pictures(0, 1 / 100), Picture(), ["inputs-not-scaled"]),
        (pictures(0, 255, 20), Picture(), ["inputs-off-centre"]),
    ],
)
def test_inputs_that_are_not_scaled_are_named(batch: tuple[Tensor, Tensor], model: nn.Module, names: list[str]) -> None:
    findings = found([batch], model, reconstruct)
    assert [name for name in findings.names if name.startswith("inputs")] == names


class Masking(Reader):
    def __init__(self, frames: int) -> None:
        super().__init__()
        self.frames = frames

    def encode(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        if self.training:
            x = x.clone()
            x[:, 1 : 1 + self.frames] = 0
        return super().encode(x, lengths)


def test_masks_of_the_model_that_cover_rows_are_named() -> None:
    assert "training-inputs-masked" in found(many(2), Masking(100)).names
    assert "training-inputs-masked" not in found(many(2), Masking(3)).names


def test_held_out_inputs_of_another_scale_are_named() -> None:
    other = make_batch(9)
    other = other._replace(features=mask_padding(10 * other.features, other.lengths))
    findings = found(many(3), held_out=[other])
    assert findings.names == ["held-out-scaled-otherwise"]


@pytest.mark.parametrize(
    ("last", "low", "high", "names"),
    [
        (None, -2.0, 2.0, []),
        (nn.Sigmoid(), 0.0, 1.0, []),
        (nn.Sigmoid(), -2.0, 2.0, ["targets-outside-outputs"]),
        (nn.Tanh(), -1.0, 1.0, []),
        (nn.Tanh(), 0.0, 3.0, ["targets-outside-outputs"]),
        (nn.ReLU(), 0.0, 9.0, []),
        (nn.ReLU(), -2.0, 2.0, ["targets-outside-outputs"]),
        (nn.Softplus(), 0.0, 9.0, []),
    ],
)
def test_targets_that_the_last_activation_cannot_return_are_named(
    last: nn.Module | None, low: float, high: float, names: list[str]
) -> None:
    generator = torch.Generator().manual_seed(0)
    targets = low + (high - low) * torch.rand(6, 64, generator=generator)
    findings = found([(torch.randn(6, 64, generator=generator), targets)], Picture(last=last), reconstruct)
    assert [name for name in findings.names if name.startswith("targets")] == names
    assert "target range" in findings.checked


def test_inputs_outside_of_the_outputs_are_no_targets() -> None:
    batch = (5 * torch.randn(6, 64), torch.rand(6, 64))
    assert "targets-outside-outputs" not in found([batch], Picture(last=nn.Sigmoid()), reconstruct).names


def test_workers_that_repeat_each_other_are_named() -> None:
    twice = [make_batch(seed) for seed in range(5) for _ in range(2)]
    assert found(twice).names == ["batches-repeat"]
    assert found(one for one in twice).names == ["batches-repeat"]
    epochs = [make_batch(seed) for _ in range(2) for seed in range(5)]
    assert found(one for one in epochs).names == []  # two epochs of an endless loader
    assert found([BATCHES[0]] * 10).names == []  # one batch, on purpose


def test_rows_that_are_listed_twice_are_named() -> None:
    one, other = make_batch(0), make_batch(1)
    mixed = Batch(*(torch.cat([x[:2], y[2:]]) for x, y in zip(one, other, strict=True)))
    findings = found(Loader([one, mixed, other], shuffle=lambda epoch: False))
    assert findings.names == ["rows-repeated"]
    assert findings[0].evidence["repeated"] == 4  # of the fifth there are too few numbers
    assert found([one, mixed, other]).names == []  # of several epochs, perhaps


def test_rows_that_are_held_out_too_are_named() -> None:
    findings = found(many(3), held_out=[make_batch(100), make_batch(2)])
    assert findings.names == ["held-out-overlaps"]
    assert findings[0].evidence["rows"] == 4


class Loader:
    """Batches that can be read again; in another order in each epoch, if it shuffles."""

    def __init__(self, batches: Sequence[Any], *, shuffle: Callable[[int], bool]) -> None:
        self.batches, self.shuffle, self.epoch = list(batches), shuffle, 0

    def __len__(self) -> int:
        return len(self.batches)

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[Any]:
        order = torch.randperm(len(self)).tolist() if self.shuffle(self.epoch) else range(len(self))
        return (self.batches[n] for n in order)


def rising() -> list[Batch]:
    """Batches of 5 rows, each longer than those before."""
    found = []
    for n in range(10):
        batch = make_batch(n)
        lengths = torch.tensor([4, 5, 5, 6, 7]) + n
        features = mask_padding(torch.randn(5, 7 + n, 4), lengths)
        found.append(batch._replace(features=features, lengths=lengths, target_lengths=torch.tensor([1] * 5)))
    return found


@pytest.mark.parametrize(
    ("shuffle", "names"),
    [
        (lambda epoch: False, ["batches-in-order-of-length"]),
        (lambda epoch: True, []),
        (lambda epoch: epoch > 0, []),  # a curriculum: short ones first, in the first epoch only
    ],
)
def test_lengths_in_order_are_named(shuffle: Callable[[int], bool], names: list[str]) -> None:
    loader = Loader(rising(), shuffle=shuffle)
    assert found(loader).names == names
    assert loader.epoch == 0


def test_one_length_in_all_batches_is_named_if_held_out_rows_have_many() -> None:

    def of_one_label(batch: Batch) -> Batch:
        return batch._replace(targets=batch.targets[:, :1], target_lengths=torch.tensor([1] * 5))

    short = list(map(of_one_label, many(10)))
    loader = Loader([*short, *many(30)], shuffle=lambda epoch: False)
    held_out = [make_batch(seed) for seed in range(20, 24)]
    options = {"scan": 10}
    assert found(loader, held_out=held_out, **options).names == ["batches-in-order-of-length"]
    assert found(loader, held_out=map(of_one_label, held_out), **options).names == []
    assert found(loader, **options).names == []
    whole = Loader(short, shuffle=lambda epoch: False)  # all rows are cut to one length
    assert found(whole, held_out=held_out, **options).names == []


def test_a_list_of_batches_may_be_sorted() -> None:
    assert found(rising()).names == []


def classified(classes: Sequence[Sequence[int]]) -> list[tuple[Tensor, Tensor]]:
    return [(torch.randn(len(one), 4, 16), torch.tensor(one)) for one in classes]


@pytest.mark.parametrize(
    ("classes", "names"),
    [
        ([[0] * 4, [0] * 4, [0, 0, 1, 1], [1] * 4, [2] * 4, [2] * 4], ["batches-in-order-of-class"]),
        ([[0, 1, 2, 1], [2, 0, 1, 1], [0, 0, 2, 1], [1, 2, 0, 0], [2, 1, 0, 2]], []),
        ([[0, 0, 1, 1], [2, 2, 0, 0], [1, 1, 2, 2], [0, 0, 2, 2]], []),  # some rows of each class, on purpose
        ([[0] * 4] * 6, []),  # one class in all of them
    ],
)
def test_classes_in_order_are_named(classes: Sequence[Sequence[int]], names: list[str]) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    findings = found(
        classified(classes), model, lambda model, batch: nn.functional.cross_entropy(model(batch[0]), batch[1])
    )
    assert findings.names == names


def concatenated(length: int) -> tuple[Tensor, Tensor, Tensor]:
    return torch.randn(4, 12, 16), torch.randint(1, 5, (4 * length,)), torch.full((4,), length)


def test_lengths_of_concatenated_targets_are_no_classes() -> None:
    def ctc(model: nn.Module, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        log_probs = model(batch[0]).log_softmax(2).transpose(0, 1)
        return nn.functional.ctc_loss(log_probs, batch[1], torch.tensor([12] * 4), batch[2])

    assert found(list(map(concatenated, (2, 2, 3, 3, 5, 5))), nn.Linear(16, 5), ctc).names == []
