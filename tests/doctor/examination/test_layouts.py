"""Batches of any layout: rows on the second axis, masks in place of lengths, packed rows, steps on the last axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence, pad_sequence

from seqloss.doctor import examine
from seqloss.doctor.batches.rows import BatchRows

from .models import make_batch

LENGTHS = torch.tensor([12, 9, 16, 7, 11])


@dataclass
class TimeFirst:
    """Frames (time, batch, 4), and labels one after the other."""

    frames: Tensor
    lengths: Tensor
    labels: Tensor
    label_lengths: Tensor


def time_first(seed: int) -> TimeFirst:
    plain = make_batch(seed)
    labels = torch.cat([row[:size] for row, size in zip(plain.targets, plain.target_lengths.tolist(), strict=True)])
    return TimeFirst(plain.features.transpose(0, 1), plain.lengths, labels, plain.target_lengths)


class TimeFirstReader(nn.Module):
    """A convolution that halves the frames, a GRU, CTC."""

    def __init__(self, fault: str = "") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.fault = fault
        self.convolve = nn.Conv1d(4, 8, 3, stride=2, padding=1)
        self.recurrent = nn.GRU(8, 8, bidirectional=True)
        self.norm = nn.BatchNorm1d(8) if fault == "norm" else nn.Identity()
        self.head = nn.Linear(16, 6)

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        given = lengths
        if self.fault == "statistics":
            frames = (frames - frames.mean((0, 1))) / frames.std((0, 1))
        x = self.norm(self.convolve(frames.permute(1, 2, 0)))
        x = x.reshape(x.shape[2], len(x), -1) if self.fault == "reshape" else x.permute(2, 0, 1)
        lengths = (lengths + 1) // 2
        if self.fault == "unmasked":
            x, _ = self.recurrent(x)
        else:
            x, _ = pad_packed_sequence(self.recurrent(pack_padded_sequence(x, lengths, enforce_sorted=False))[0])
        if self.fault == "before stride":
            lengths = given.clamp(max=len(x))
        elif self.fault == "halved twice":
            lengths = (lengths + 1) // 2
        return self.head(x).log_softmax(-1), lengths


def read(model: nn.Module, batch: TimeFirst) -> Tensor:
    scores, lengths = model(batch.frames, batch.lengths)
    return F.ctc_loss(scores, batch.labels, lengths, batch.label_lengths, zero_infinity=True)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("", None),
        ("before stride", "lengths-depend-on-batch"),
        ("halved twice", "lengths-wrong"),
        ("reshape", "outputs-depend-on-order"),
        ("unmasked", "row-depends-on-batch"),
        ("statistics", "row-depends-on-batch"),
        ("norm", "padding-reaches-rows"),
    ],
)
def test_time_first_batches(fault: str, expected: str | None) -> None:
    found = examine(TimeFirstReader(fault), [time_first(0), time_first(1)], read)
    assert not {"rows", "padding", "lengths", "locality", "batch size"} & set(found.not_checked)
    assert expected in found.names if expected else not found, str(found)


def masked_batch(kind: str) -> dict[str, Any]:
    """Tokens with a mask, and a label for each."""
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(1, 12, (5, 16), generator=generator)
    valid = torch.arange(16) < LENGTHS[:, None]
    tokens = tokens * valid
    labels = torch.where(valid, (tokens + 1) % 12, -100)
    mask = {"integers": valid.long(), "valid": valid, "padding": ~valid}[kind]
    return {"input_ids": tokens, "attention_mask": mask, "labels": labels}


class Encoder(nn.Module):
    """Attention over the tokens that the mask leaves."""

    def __init__(self, heeds: bool = True, padding: bool = False, average: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.heeds, self.padding, self.average = heeds, padding, average
        self.embed = nn.Embedding(12, 16)
        self.attend = nn.MultiheadAttention(16, 2, batch_first=True)
        self.head = nn.Linear(16, 12)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor) -> dict[str, Tensor]:
        x = self.embed(input_ids)
        outside = attention_mask if self.padding else ~attention_mask.bool()
        x = x + self.attend(x, x, x, key_padding_mask=outside if self.heeds else None)[0]
        scores = self.head(x)
        losses = F.cross_entropy(scores.transpose(1, 2), labels, reduction="none")
        loss = losses.sum() / (labels >= 0).sum()
        return {"loss": loss - (0.05 * scores.log_softmax(-1).mean() if self.average else 0), "logits": scores}


def call(model: nn.Module, batch: dict[str, Any]) -> Any:
    return model(**batch)["loss"]


@pytest.mark.parametrize("kind", ["integers", "valid", "padding"])
def test_masks_say_the_lengths(kind: str) -> None:
    batches, padding = [masked_batch(kind)], kind == "padding"
    healthy = examine(Encoder(padding=padding), batches, call)
    assert not healthy, str(healthy)
    assert "padding" in healthy.checked
    assert "row-depends-on-batch" in examine(Encoder(heeds=False), batches, call).names


def test_the_loss_of_padding_is_named_where_the_loss_is_outside() -> None:
    def smooth(model: nn.Module, batch: dict[str, Any]) -> Tensor:
        scores = model(**batch)["logits"]
        real = F.cross_entropy(scores.transpose(1, 2), batch["labels"])
        return 0.9 * real - 0.1 * scores.log_softmax(-1).mean()

    assert examine(Encoder(), [masked_batch("integers")], smooth).names == ["padding-in-loss"]


class TimeLast(nn.Module):
    """(batch, channels, time) to a class for each step, (batch, classes, time)."""

    def __init__(self, masks: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.masks = masks
        self.layers = nn.ModuleList([nn.Conv1d(4, 8, 3, padding=1), nn.Conv1d(8, 6, 3, padding=1)])

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        valid = (torch.arange(x.shape[2]) < lengths[:, None])[:, None]
        for layer in self.layers:
            x = layer(x * valid if self.masks else x).tanh()
        return x, lengths


@pytest.mark.parametrize("masks", [True, False])
def test_steps_on_the_last_axis(masks: bool) -> None:
    batch = make_batch(0)
    steps = torch.where(torch.arange(16) < LENGTHS[:, None], torch.arange(80).reshape(5, 16) % 6, -100)
    found = examine(
        TimeLast(masks), [(batch.features.transpose(1, 2), LENGTHS, steps)],
        lambda model, batch: F.cross_entropy(model(batch[0], batch[1])[0], batch[2]),
    )  # fmt: skip
    assert not {"rows", "padding", "lengths"} & set(found.not_checked)
    assert "row-depends-on-batch" in found.names if not masks else not found, str(found)


class Packed(nn.Module):
    def __init__(self, leaks: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.leaks = leaks
        self.recurrent = nn.GRU(4, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, frames: PackedSequence) -> Tensor:
        x = self.head(self.recurrent(frames)[1][0])
        return x + x.mean(0) if self.leaks else x


@pytest.mark.parametrize("leaks", [False, True])
def test_packed_rows(leaks: bool) -> None:
    frames = pack_padded_sequence(make_batch(0).features, LENGTHS, batch_first=True, enforce_sorted=False)
    found = examine(
        Packed(leaks), [{"frames": frames, "classes": torch.tensor([0, 1, 2, 1, 0])}],
        lambda model, batch: F.cross_entropy(model(batch["frames"]), batch["classes"]),
    )  # fmt: skip
    assert "rows" in found.checked
    assert found.names == (["row-depends-on-batch"] if leaks else [])


def test_rows_of_packed_rows_are_taken() -> None:
    features = make_batch(0).features
    frames = pack_padded_sequence(features, LENGTHS, batch_first=True, enforce_sorted=False)
    taken, classes = BatchRows((frames, torch.tensor([0, 1, 2, 1, 0]))).take([3, 0])
    padded, lengths = pad_packed_sequence(taken, batch_first=True)
    assert lengths.tolist() == [7, 12]
    assert torch.equal(padded[0, :7], features[3, :7])
    assert classes.tolist() == [1, 0]


def test_a_mask_of_padding_on_the_left_says_no_lengths() -> None:
    batch = masked_batch("valid")
    left = {name: part.flip(1) for name, part in batch.items()}
    assert BatchRows(left | {"kinds": torch.zeros_like(left["input_ids"])}).longest == 0
    assert not examine(Encoder(), [left], call)


def melodies() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    rows = [torch.cat([torch.tensor([1]), torch.randint(3, 12, (int(size),), generator=generator), torch.tensor([2])])
            for size in LENGTHS]  # fmt: skip
    return pad_sequence(rows, batch_first=True)


class Following(nn.Module):
    """Predicts the next token."""

    def __init__(self, batch_first: bool = True) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(12, 16)
        self.recurrent = nn.GRU(16, 16, batch_first=batch_first)
        self.head = nn.Linear(16, 12)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.recurrent(self.embed(tokens))[0])


@pytest.mark.parametrize("fault", ["", "counted", "smoothed"])
def test_padding_of_tokens_without_lengths(fault: str) -> None:
    def follow(model: nn.Module, tokens: Tensor) -> Tensor:
        scores = model(tokens[:, :-1]).flatten(0, 1)
        found = F.cross_entropy(scores, tokens[:, 1:].flatten(), ignore_index=-100 if fault == "counted" else 0)
        return found - 0.1 * scores.log_softmax(-1).mean() if fault == "smoothed" else found

    assert examine(Following(), [melodies()], follow).names == (["padding-in-loss"] if fault else [])


@pytest.mark.parametrize("padded", [True, False])
def test_tokens_with_time_first_are_no_fault(padded: bool) -> None:
    """Without padding or lengths, nothing says which axis has the rows."""
    tokens = melodies().T if padded else torch.randint(1, 12, (18, 5), generator=torch.Generator().manual_seed(0))

    def follow(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return F.cross_entropy(model(batch[0]).flatten(0, 1), batch[1].flatten(), ignore_index=0)

    found = examine(Following(batch_first=False), [(tokens[:-1].contiguous(), tokens[1:].contiguous())], follow)
    assert not found, str(found)
