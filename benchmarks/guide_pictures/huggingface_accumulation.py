"""The gradient of a Wav2Vec2 that is accumulated in more and more steps, beside that of the one big batch."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import torch
from matplotlib import pyplot
from matplotlib.figure import Figure
from transformers import Wav2Vec2Config, Wav2Vec2CTCTokenizer, Wav2Vec2ForCTC

from seqloss.torch.huggingface import CTCTrainerLoss

ROWS, STEPS, DRAWS = 12, (1, 2, 3, 6, 12), 5
SMALL = {
    "vocab_size": 8, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16,
    "mask_time_prob": 0.0, "hidden_dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0,
    "feat_proj_dropout": 0.0, "final_dropout": 0.0, "layerdrop": 0.0,
}  # fmt: skip


def draw() -> Figure:
    found = [errors_of(seed) for seed in range(DRAWS)]
    figure, axis = pyplot.subplots(figsize=(5.4, 2.8), layout="constrained")
    for name, color in (("transformers' own loss", "tab:red"), ("CTCTrainerLoss", "tab:blue")):
        for one in found:
            axis.plot(range(len(STEPS)), [max(value, 1e-9) for value in one[name]], "o-", color=color, alpha=0.5,
                      label=name if one is found[0] else None)  # fmt: skip
    axis.set_xticks(range(len(STEPS)), map(str, STEPS))
    axis.set(
        yscale="log", xlabel=f"gradient_accumulation_steps, for {ROWS} rows", ylabel="relative error of the gradient"
    )
    axis.legend(frameon=False)
    return figure


def make_tokenizer() -> Wav2Vec2CTCTokenizer:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "vocab.json"
        file.write_text(json.dumps({token: k for k, token in enumerate(["<pad>", "<unk>", "|", *"abcde"])}))
        return Wav2Vec2CTCTokenizer(str(file), bos_token=None, eos_token=None)


def errors_of(seed: int) -> dict[str, list[float]]:
    torch.manual_seed(seed)
    model = Wav2Vec2ForCTC(Wav2Vec2Config(**SMALL))
    loss = CTCTrainerLoss(model, make_tokenizer())
    sounds, labels = torch.randn(ROWS, 8000), torch.full((ROWS, 9), -100)
    for row, count in enumerate(torch.randint(1, 10, (ROWS,)).tolist()):
        labels[row, :count] = torch.randint(1, 8, (count,))
    total = int((labels >= 0).sum())

    def own(x: torch.Tensor, y: torch.Tensor, steps: int) -> torch.Tensor:
        return model(x, labels=y).loss / steps

    def ours(x: torch.Tensor, y: torch.Tensor, steps: int) -> torch.Tensor:
        return loss(model(x), y, num_items_in_batch=total)

    found = {}
    for name, function in (("transformers' own loss", own), ("CTCTrainerLoss", ours)):
        gradients = []
        for steps in STEPS:
            model.zero_grad()
            for x, y in zip(sounds.chunk(steps), labels.chunk(steps), strict=True):
                function(x, y, steps).backward()
            gradients.append(model.lm_head.weight.grad.clone())
        found[name] = [float((one - gradients[0]).norm() / gradients[0].norm()) for one in gradients]
    return found
