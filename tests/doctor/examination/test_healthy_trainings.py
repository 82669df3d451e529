"""A healthy training has no finding."""

from __future__ import annotations

import pytest
import torch

from seqloss.data import Vocabulary
from seqloss.doctor import examine
from seqloss.recipes.autoencoder.settings import Settings as AutoencoderSettings
from seqloss.recipes.autoencoder.task import AutoencoderTask
from seqloss.recipes.charlm.settings import Settings as CharlmSettings
from seqloss.recipes.charlm.task import CharlmTask
from seqloss.recipes.stems.settings import Settings as StemsSettings
from seqloss.recipes.stems.task import StemsTask
from seqloss.training.batches import BatchDataset, BatchSampler
from seqloss.training.task import Task

from .models import Reader, loss, make_batch, training


def test_a_healthy_training_has_no_finding_and_every_law_is_checked() -> None:
    model, vocabulary = Reader(), Vocabulary("abcde")
    batches = [make_batch(seed) for seed in range(8)]
    texts = [vocabulary.decode(row[:n].tolist())
             for batch in batches for row, n in zip(batch.targets, batch.target_lengths, strict=True)]  # fmt: skip
    found = examine(
        model, batches, loss, **training(model), vocabulary=vocabulary, texts=texts,
        held_out=list(map(make_batch, range(9, 13))), checkpoint=model.state_dict(),
    )  # fmt: skip
    assert not found, str(found)
    assert found.not_checked == {
        "target range": "no part of the batch was recognised as a target of numbers",
        "embeddings": "the model has no embedding",
        "pairs": "the batch has no pairs of inputs",
        "sigmoids": "the outputs are not between 0 and 1",
        "token padding": "the batches have no padding that is told by its token alone",
    }
    assert found.exit_code == 0
    assert str(found).startswith("nothing found; checked: ledger, mode, rows, padding, pairing, locality, lengths, ")


@pytest.mark.parametrize(
    "task",
    [AutoencoderTask(AutoencoderSettings(rows=1000)), StemsTask(StemsSettings()), CharlmTask(CharlmSettings())],
    ids=["autoencoder", "stems", "charlm"],
)
def test_recipes_have_no_finding(task: Task) -> None:
    source = task.load_data(print_line=lambda line: None).sources["train"]
    batches = BatchDataset(source, task.collate)
    network = task.build_network()
    optimizer = task.make_optimizer(network)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: task.learning_rate_factor(step, 500))
    found = examine(
        network,
        (batches[keys] for keys in BatchSampler(source, 16, 0)),
        lambda network, batch: task.loss(batch, task.forward(network, batch)),
        optimizer=optimizer,
        scheduler=schedule,
        steps=500,
    )
    assert not found, str(found)
    assert {"ledger", "mode", "loss", "schedule"} <= set(found.checked)
