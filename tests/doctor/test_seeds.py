"""Trainings that the doctor was built for: each is named, and its healthy neighbour is not."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seqloss.data import Vocabulary
from seqloss.doctor import examine
from seqloss.torch.nn import SequenceAutoencoder

from .examination.models import BATCHES, Batch, Reader
from .examination.models import loss as ctc
from .watching.trainings import train


def make_readable_batch(seed: int) -> Batch:
    """Each label is shown for four frames, between frames without a label."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(1, 5, (6, 3), generator=generator)
    features = 0.1 * torch.randn(6, 24, 4, generator=generator)
    for row in range(6):
        for place, label in enumerate(labels[row].tolist()):
            features[row, 8 * place : 8 * place + 4, label - 1] += 1
    return Batch(features, torch.full((6,), 24), labels, torch.full((6,), 3))


def train_reader(batches: list[Batch]) -> Any:
    model = Reader()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    return model, train(model, loss=ctc, batches=batches, optimizer=optimizer, steps=350, blank=0)


def test_only_blanks_at_the_beginning_are_no_fault() -> None:
    model, watched = train_reader([make_readable_batch(seed) for seed in range(100)])
    assert not watched.findings, str(watched.findings)
    batch = make_readable_batch(1000)
    assert float(ctc(model.eval(), batch).detach()) < 1.0


def test_only_blanks_for_ever_are_a_fault_with_a_reason() -> None:
    batches = [make_readable_batch(seed) for seed in range(100)]
    shifted = [
        one._replace(targets=other.targets) for one, other in zip(batches, batches[1:] + batches[:1], strict=True)
    ]
    _, watched = train_reader(shifted)
    assert "only-blanks" in watched.findings.names
    assert "input-not-used" in watched.findings.names


@pytest.mark.parametrize(("factor", "names"), [(lambda n: n, ["loss-grows-with-batch"]),
                                               (lambda n: 1 / n, ["loss-shrinks-with-batch"]),
                                               (lambda n: 1, [])], ids=["sum", "divided twice", "mean"])  # fmt: skip
def test_a_loss_scaled_by_its_minibatch(factor: Any, names: list[str]) -> None:
    found = examine(Reader(), BATCHES, lambda model, batch: ctc(model, batch) * factor(len(batch.lengths)))
    assert found.names == names


def test_a_head_that_is_smaller_than_the_vocabulary() -> None:
    found = examine(Reader(), BATCHES, ctc, vocabulary=Vocabulary("abcdefghij"), texts=["bad", "jig"])
    assert "head-too-small" in found.names


def test_a_negative_loss() -> None:
    def unnormalized(model: nn.Module, batch: Batch) -> Tensor:
        scores, lengths = model(batch.features, batch.lengths)
        return nn.functional.ctc_loss((3 + scores).transpose(0, 1), batch.targets, lengths, batch.target_lengths)

    assert {"scores-not-normalized", "loss-negative"} & set(examine(Reader(), BATCHES, unnormalized).names)


def reconstruct(model: nn.Module, batch: Tensor) -> Tensor:
    return (model(batch) - batch).square().mean()


def test_an_autoencoder_that_is_too_small_predicts_the_average() -> None:
    torch.manual_seed(0)
    batches = [torch.randn(8, 14, 5) for _ in range(40)]
    model = SequenceAutoencoder(5, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    assert "predicts-the-average" in train(model, loss=reconstruct, batches=batches, optimizer=optimizer,
                                           steps=300).findings.names  # fmt: skip


class Siamese(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 8))

    def forward(self, one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        return self.layers(one).log_softmax(-1), self.layers(other).log_softmax(-1)


def make_pairs(count: int = 60) -> list[tuple[Tensor, Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    centers = 2 * torch.randn(4, 6, generator=generator)
    batches = []
    for _ in range(count):
        who = torch.randint(4, (2, 16), generator=generator)
        who[1, ::2] = who[0, ::2]
        x = centers[who] + 0.3 * torch.randn(2, 16, 6, generator=generator)
        batches.append((x[0], x[1], (who[0] == who[1]).float()))
    return batches


def hinge(divergence: Any) -> Any:
    def loss(model: nn.Module, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        p, q = model(batch[0], batch[1])
        found = divergence(p, q)
        return torch.where(batch[2] == 1, found, (1 - found).clamp(min=0)).mean()

    return loss


def kl(p: Tensor, q: Tensor) -> Tensor:
    return (p.exp() * (p - q)).sum(-1)


def clipped(p: Tensor, q: Tensor) -> Tensor:
    return (kl(p, q) + kl(q, p)).clamp(0.5, 0.5 + 1e-3)


def symmetric(p: Tensor, q: Tensor) -> Tensor:
    return kl(p, q) + kl(q, p)


def test_siamese_pairs_whose_divergence_is_clipped() -> None:
    model = Siamese()
    before = examine(model, make_pairs()[:2], hinge(clipped)).names
    during = train(model, loss=hinge(clipped), batches=make_pairs(), optimizer=torch.optim.Adam(model.parameters()),
                   steps=300).findings.names  # fmt: skip
    assert {"weights-without-gradient", "input-not-used"} & {*before, *during}
    healthy = Siamese()
    assert not examine(healthy, make_pairs()[:2], hinge(symmetric))
    optimizer = torch.optim.Adam(healthy.parameters(), lr=3e-3)
    assert not train(healthy, loss=hinge(symmetric), batches=make_pairs(), optimizer=optimizer, steps=300).findings


def test_outputs_that_are_no_probabilities() -> None:
    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return nn.functional.nll_loss(model(batch[0]), batch[1])

    torch.manual_seed(0)
    batch = (torch.randn(12, 4), torch.randint(5, (12,)))
    assert "scores-not-normalized" in examine(nn.Linear(4, 5), [batch], loss).names
    assert not examine(nn.Sequential(nn.Linear(4, 5), nn.LogSoftmax(-1)), [batch], loss)
