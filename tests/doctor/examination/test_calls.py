"""Faults of modes, inputs, outputs and losses are named."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from seqloss.doctor import examine

from .models import BATCHES, Batch, Reader, loss, names


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


def test_a_random_evaluation_is_no_fault_of_rows() -> None:
    found = examine(Restless(), BATCHES, loss)
    assert found.names == ["evaluation-is-random"]
    assert found.not_checked["rows"] == "the outputs in evaluation mode are random; mend that first"


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
