"""Training and evaluation mode."""

from __future__ import annotations

import torch

from seqloss.doctor import watch

from .trainings import Network, make_batches, sgd, squared_error, train


def test_training_in_evaluation_mode_is_named() -> None:
    assert train(Network().eval()).findings.names == ["trained-in-evaluation-mode"]


def test_an_evaluation_in_training_mode_is_named() -> None:
    model = Network()
    with watch(model, sgd(model), share=1.0) as watched, torch.no_grad():
        model.eval()(make_batches()[0][0])
        assert not watched.findings
        model.train()(make_batches()[0][0])
    assert watched.findings.names == ["evaluated-in-training-mode"]


def test_a_loss_without_gradients_is_no_step() -> None:
    model = Network().eval()
    with watch(model, sgd(model)) as watched, torch.no_grad():
        for batch in make_batches():
            watched.step(squared_error, batch)
    assert not watched.findings


def test_modes_of_a_model_without_dropout_and_statistics_do_not_matter() -> None:
    model = torch.nn.Linear(4, 1).eval()
    assert not train(model).findings
