"""Hugging Face's Trainer with `WatchCallback`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from seqloss.doctor.huggingface import WatchCallback

transformers = pytest.importorskip("transformers")


def make_model() -> Any:
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        n_layer=1, n_head=2, n_embd=16, vocab_size=20, n_positions=12, bos_token_id=0, eos_token_id=0
    )
    return transformers.GPT2LMHeadModel(config)


def fit(model: Any, folder: Path, callbacks: list[Any], **options: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    texts = torch.randint(20, (48, 12), generator=generator)
    rows = [{"input_ids": text, "labels": text} for text in texts]
    arguments = transformers.TrainingArguments(
        output_dir=str(folder), max_steps=6, per_device_train_batch_size=4, report_to="none", use_cpu=True,
        disable_tqdm=True, save_strategy="no", logging_strategy="no", **options,
    )  # fmt: skip
    transformers.Trainer(model, arguments, train_dataset=rows, callbacks=callbacks).train()


@pytest.mark.parametrize("options", [{}, {"gradient_accumulation_steps": 2}], ids=str)
def test_a_healthy_training_has_no_finding_and_the_same_weights(tmp_path: Path, options: dict[str, Any]) -> None:
    watching = WatchCallback(on_finding=lambda finding: None)
    watched, plain = make_model(), make_model()
    fit(watched, tmp_path, [watching], **options)
    fit(plain, tmp_path, [], **options)
    assert not watching.findings, str(watching.findings)
    assert all(map(torch.equal, watched.state_dict().values(), plain.state_dict().values()))


def test_gradients_that_are_changed_are_named(tmp_path: Path) -> None:
    class Noise(transformers.TrainerCallback):
        def on_pre_optimizer_step(self, *_: Any, model: Any, **__: Any) -> None:
            for weight in model.parameters():
                weight.grad += torch.randn_like(weight)

    watching = WatchCallback(on_finding=lambda finding: None)
    fit(make_model(), tmp_path, [watching, Noise()])
    assert "gradient-differs" in watching.findings.names
