"""Lengths that a model returns, and the order of its frames."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqloss.doctor import examine
from seqloss.torch import ctc_loss

from .models import BATCHES, Batch, Reader, names


class Clamped(Reader):
    """Lengths before the stride, cut to the frames that there are."""

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        scores, _ = super().forward(x, lengths)
        return scores, lengths.clamp(max=scores.shape[1])


class HalvedTwice(Reader):
    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        scores, halved = super().forward(x, lengths)
        return scores, (halved + 1) // 2


class RoundedDown(Reader):
    """Leaves a frame out that is not full: no fault."""

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        scores, halved = super().forward(x, lengths)
        return scores, torch.where(lengths % 2 == 1, halved - 1, halved)


class TooLong(Reader):
    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        scores, halved = super().forward(x, lengths)
        return scores, halved + 1


def short(model: nn.Module, batch: Batch) -> Tensor:
    """One label for each row, so that few frames suffice."""
    scores, lengths = model(batch.features, batch.lengths)
    scores = F.pad(scores, (0, 0, 0, 1))
    return ctc_loss(scores, batch.targets[:, :1], lengths, torch.ones_like(lengths), reduction="mean")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Clamped, "lengths-depend-on-batch"),
        (HalvedTwice, "lengths-wrong"),
        (TooLong, "lengths-wrong"),
        (RoundedDown, None),
        (Reader, None),
    ],
)
def test_lengths_that_are_not_those_of_the_frames_are_named(kind: type[Reader], expected: str | None) -> None:
    found = [name for name in names(kind(), short) if name.startswith("lengths")]
    assert found == ([expected] if expected else [])


class Pictures(nn.Module):
    """Images (batch, 1, height, width) of one size; each column is a frame."""

    def __init__(self, change: str = "right") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.change = change
        self.convolve = nn.Conv2d(1, 4, 3, padding=1)
        self.recurrent = nn.GRU(64, 16, bidirectional=True, batch_first=True)
        self.head = nn.Linear(32, 5)

    def forward(self, x: Tensor, widths: Tensor) -> tuple[Tensor, Tensor]:
        x = self.convolve(x).relu()
        if self.change == "right":
            x = x.permute(0, 3, 1, 2).flatten(2)
        elif self.change == "height":
            x = x.permute(0, 2, 1, 3).flatten(2)
        elif self.change == "reshape":
            x = x.reshape(len(x), x.shape[3], -1)
        else:
            x = x.flip(3).permute(0, 3, 1, 2).flatten(2)
        return self.head(self.recurrent(x)[0]), widths


def read(model: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
    scores, lengths = model(batch[0], batch[1])
    return ctc_loss(scores, batch[2], lengths, batch[3], reduction="mean")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("right", []),
        ("height", ["axes-mixed"]),
        ("reshape", ["frames-not-in-order"]),
        ("reversed", ["frames-not-in-order"]),
    ],
)
def test_frames_that_do_not_follow_the_steps_are_named(change: str, expected: list[str]) -> None:
    generator = torch.Generator().manual_seed(0)
    batch = (
        torch.randn(4, 1, 16, 16, generator=generator), torch.full((4,), 16),
        torch.tensor([[1, 2, 3], [2, 4, 1], [3, 1, 2], [4, 2, 4]]), torch.full((4,), 3),
    )  # fmt: skip
    found = examine(Pictures(change), [batch], read)
    assert [name for name in found.names if name in ("axes-mixed", "frames-not-in-order")] == expected
    assert "lengths" in found.checked


class Attended(Reader):
    """Two layers of attention after the convolution, each with its residual: frames are still in order."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 2, 16, dropout=0.0, batch_first=True, norm_first=True)
        self.attention = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def encode(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x, lengths = super().encode(x, lengths)
        padding = torch.arange(x.shape[1])[None, :] >= lengths[:, None]
        return self.attention(x, src_key_padding_mask=padding), lengths


def test_attention_keeps_the_order_of_frames() -> None:
    assert names(Attended()) == []


def test_a_law_that_fails_halfway_keeps_what_it_found() -> None:
    class Refusing(Reader):
        """Refuses to be scored in training mode with a longer batch, after the laws of order have seen it."""

        def encode(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
            if x.shape[1] > 16:
                raise ValueError("too long")
            x, lengths = super().encode(x, lengths)
            return x.cumsum(0), lengths

    found = examine(Refusing(), BATCHES, lambda model, batch: model(batch.features, batch.lengths)[0].square().mean())
    assert "too long" in found.not_checked["rows"]
    assert "outputs-depend-on-order" in found.names


class Strided(nn.Module):
    """Half as many frames as there are steps; the loss computes their number itself."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.Conv1d(3, 8, 3, stride=2, padding=1), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x.transpose(1, 2)).relu().transpose(1, 2))


def strided_batch(lengths: Tensor) -> tuple[Tensor, ...]:
    x = torch.randn(len(lengths), 40, 3) * (torch.arange(40) < lengths[:, None])[..., None]
    return x, lengths, torch.randint(1, 5, (len(lengths), 3)), torch.full((len(lengths),), 3)


def loss_with_lengths_over(divisor: int) -> Callable[[nn.Module, tuple[Tensor, ...]], Tensor]:
    def loss(model: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
        x, lengths, targets, target_lengths = batch
        scores = model(x).log_softmax(2).transpose(0, 1)
        return F.ctc_loss(scores, targets, lengths // divisor, target_lengths, zero_infinity=True)

    return loss


@pytest.mark.parametrize(("divisor", "expected"), [(2, []), (4, ["lengths-wrong"])])
def test_lengths_that_the_loss_computes_are_tried_too(divisor: int, expected: list[str]) -> None:
    batches = [strided_batch(torch.tensor([40, 33, 29, 26, 24, 38])) for _ in range(2)]
    assert examine(Strided(), batches, loss_with_lengths_over(divisor)).names == expected


def test_a_text_that_does_not_fit_is_told_with_the_frames_that_the_loss_uses() -> None:
    x, lengths, _, target_lengths = strided_batch(torch.tensor([40, 33, 29, 8, 24, 38]))
    batch = x, lengths, torch.tensor([[1, 2, 3]] * 6), target_lengths
    (found,) = (
        one for one in examine(Strided(), [batch] * 2, loss_with_lengths_over(4)) if one.name == "texts-too-long"
    )
    assert found.evidence["such as"][0] == "batch 0, row 3: 3 frames needed, 2 found"


def test_rows_of_one_length_are_not_tried_with_padding_that_no_batch_has() -> None:
    """A convolution and a recurrent layer that read padding do no harm where there is none."""

    class Bidirectional(Strided):
        def __init__(self) -> None:
            super().__init__()
            self.recurrent = nn.GRU(8, 4, bidirectional=True, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.recurrent(self.layer(x.transpose(1, 2)).relu().transpose(1, 2))[0])

    batches = [strided_batch(torch.full((6,), 40)) for _ in range(2)]
    assert examine(Bidirectional(), batches, loss_with_lengths_over(2)).names == []
