"""Which gradients are sparse, by modules and by a backward pass."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from seqloss.torch.optim.sparse_parameters import sparse_names

from .models import Bags, loss_of


def test_embeddings_with_sparse_gradients_are_found_in_a_model() -> None:
    model = nn.ModuleDict({"bags": Bags(), "dense": nn.Embedding(3, 2), "bag": nn.EmbeddingBag(3, 2)})
    assert sparse_names(model) == {"bags.words.weight", "bags.pairs.weight"}


class Tied(nn.Module):
    """A language model whose output layer has the weights of its embedding: the sum of the gradients is dense."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(5, 2, sparse=True)
        self.out = nn.Linear(2, 5, bias=False)
        self.out.weight = self.words.weight

    def forward(self, words: Tensor) -> Tensor:
        return self.out(self.words(words))


def test_a_weight_that_another_module_has_too_is_dense() -> None:
    model = Tied()
    assert sparse_names(model) == set()
    assert sparse_names(model, lambda: model(torch.tensor([1])).sum()) == set()
    model = nn.Sequential(nn.Embedding(3, 2, sparse=True), nn.Embedding(3, 2, sparse=True))
    model[1].weight = model[0].weight
    assert sparse_names(model) == {"0.weight"}


class ByHand(nn.Module):
    """Its table is a bare parameter, which modules say nothing about; what is not used has no gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.ones(6, 2))
        self.norm = nn.BatchNorm1d(2)
        self.dropout = nn.Dropout(0.5)
        self.frozen = nn.Parameter(torch.ones(2), requires_grad=False)
        self.unused = nn.Embedding(3, 2, sparse=True)

    def forward(self, words: Tensor) -> Tensor:
        return self.dropout(self.norm(functional.embedding(words, self.table, sparse=True))) * self.frozen


def test_a_probe_finds_what_modules_do_not_say() -> None:
    model = ByHand()
    assert sparse_names(model) == {"unused.weight"}
    assert sparse_names(model, lambda: model(torch.arange(4)).sum()) == {"table", "unused.weight"}


def test_a_probe_corrects_what_modules_say() -> None:
    table = nn.Embedding(4, 2, sparse=True)
    assert sparse_names(table, lambda: table.weight.sum() + table(torch.tensor([1])).sum()) == set()


@pytest.mark.parametrize("outer", [torch.enable_grad, torch.no_grad])
def test_a_probe_leaves_weights_gradients_buffers_and_random_numbers_as_they_were(outer: type) -> None:
    model = ByHand()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.table.grad = torch.full((6, 2), 3.0)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with outer():
        sparse_names(model, lambda: model(torch.arange(4)).sum())
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(model.table.grad, torch.full((6, 2), 3.0))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_a_probe_may_be_the_loss_of_a_batch() -> None:
    model = Bags()
    assert sparse_names(model, lambda: loss_of(model, 0)) == {"words.weight", "pairs.weight"}
    assert all(param.grad is None for param in model.parameters())
