"""What the model predicts while it is trained."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..examination.models import Reader
from ..examination.models import loss as ctc
from ..examination.models import make_batch as make_ctc_batch
from .trainings import Network, make_batches, sgd, train


def cut(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Each output is compared with all targets."""
    return (model(batch[0]) - batch[1][:, 0]).square().mean()


def test_a_model_that_learns_has_no_finding() -> None:
    assert not train(Network(), steps=300).findings


def test_a_model_that_predicts_the_average_is_named() -> None:
    found = train(Network(), loss=cut, steps=250).findings
    assert "predicts-the-average" in found.names


def test_an_input_that_is_not_used_is_named() -> None:
    class Blind(Network):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x * 0 + torch.arange(4.0)) + x[:, :1] * 1e-6

    assert "input-not-used" in train(Blind(), steps=400).findings.names


def test_targets_of_the_row_before_are_named() -> None:
    inputs, targets = make_batches()[-1]
    found = train(Network(), steps=600, held_out=(inputs, targets.roll(1, 0))).findings
    assert found.names == ["pairs-shifted"]
    assert found[0].evidence["rows"] == -1


def test_a_loss_that_is_not_finite_names_the_layer() -> None:
    class Rooted(Network):
        def __init__(self) -> None:
            super().__init__()
            self.root = Root()

        def forward(self, x: Tensor) -> Tensor:
            return self.layers(self.root(x))

    class Root(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.sqrt()

    finding = train(Rooted(), steps=2).findings[0]
    assert finding.name == "loss-not-finite"
    assert finding.evidence["layer"] == "root"


def test_a_dead_layer_is_named() -> None:
    model = Network()
    nn.init.constant_(model.get_parameter("layers.1.bias"), -100.0)
    assert "layer-dead" in train(model, steps=60).findings.names


def test_updates_that_are_too_large_are_named() -> None:
    model = Network()
    assert "updates-too-large" in train(model, optimizer=torch.optim.Adam(model.parameters(), lr=0.5)).findings.names


def test_decay_that_is_stronger_than_the_gradient_is_named() -> None:
    model = Network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, weight_decay=1.0)
    assert train(model, optimizer=optimizer, steps=3).findings.names == ["decay-outweighs-gradient"]
    decoupled = torch.optim.AdamW(model.parameters(), weight_decay=0.1)
    assert not train(model, optimizer=decoupled, steps=3).findings


def test_rows_with_wrong_targets_are_named() -> None:
    model = nn.Linear(4, 1)
    batches = [(inputs, inputs.sum(1, keepdim=True)) for inputs, _ in make_batches(4)]
    for batch in batches[:2]:
        batch[1][3] = 9.0
    found = train(model, batches=batches, steps=900, optimizer=sgd(model, 0.01)).findings
    assert found.names == ["rows-not-learnt"]
    assert {row for _, row, _ in found[0].evidence["rows (step, row of its batch, loss)"]} == {3}


def test_embeddings_that_become_the_same_are_named() -> None:
    def together(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return model(batch[0]).square().mean()

    last = nn.Linear(8, 8)
    model = nn.Sequential(nn.Linear(4, 8), last)
    nn.init.constant_(last.bias, 3.0)

    def closer(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        found = model(batch[0])
        return (found - found.mean(0)).square().mean()

    assert "embeddings-collapsed" in train(model, loss=closer, steps=800, optimizer=sgd(model, 0.3)).findings.names
    assert "embeddings-collapsed" not in train(model, loss=together, steps=20).findings.names


def test_only_blanks_for_ever_are_named() -> None:
    """Targets that have nothing to do with the input."""
    model = Reader()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    batches = [make_ctc_batch(seed) for seed in range(40)]
    found = train(model, loss=ctc, batches=batches, optimizer=optimizer, steps=300, blank=0, held_out=batches[-1])
    assert {"only-blanks", "input-not-used"} == set(found.findings.names)
