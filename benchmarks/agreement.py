"""Agreement of `seqloss.torch.ctc_loss` with `torch.nn.functional.ctc_loss` on what trained networks give.

    python benchmarks/agreement.py RUN [RUN ...] [--save]

The outputs of each run for all validation and test items go to both losses, in float32 and in float64. Differences are
measured in nats per item, those of the gradients by the largest entry of an item. The reference in extended precision
says which of the two is nearer to the truth.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import machine
from torch import Tensor

from seqloss.recipes import load_task
from seqloss.reference.ctc import ctc_loss_and_grad
from seqloss.torch import ctc_loss
from seqloss.training.batches import BatchDataset
from seqloss.training.predictor import Predictor
from seqloss.training.run import Run

BATCH = 50


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("runs", type=Path, nargs="+")
    options.add_argument("--save", action="store_true")
    given = options.parse_args()
    found: dict[str, list[np.ndarray]] = {}
    for run in given.runs:
        for batch in outputs_of_run(run):
            for name, values in compare(batch).items():
                found.setdefault(name, []).append(values)
    result = {name: summarise(np.concatenate(values)) for name, values in found.items()}
    print(json.dumps(result, indent=1))
    if given.save:
        names = [(Run(run).read_json("settings") or {}).get("data") for run in given.runs]
        saved = {
            "machine": machine("torch", "numpy", "numba"),
            "data": [Path(str(name)).name for name in names],
            **result,
        }
        (Path(__file__).parent / "results" / "agreement.json").write_text(json.dumps(saved, indent=1) + "\n")


def outputs_of_run(folder: Path) -> Iterator[dict[str, Tensor]]:
    """Logits, targets and lengths of all held-out items."""
    task = load_task(folder)
    predictor = Predictor(task, Run(folder))
    sources = task.load_data(skip_bad=True).sources
    for source in (sources[name] for name in ("validation", "test") if name in sources):
        for start in range(0, len(source), BATCH):
            items = BatchDataset(source, task.collate).first_items(start, min(start + BATCH, len(source)))
            outputs = predictor.outputs(items)
            yield {
                "logits": outputs["logits"].clone(),
                "targets": items.targets,
                "logit_lengths": outputs["logit_lengths"],
                "target_lengths": items.target_lengths,
            }


def compare(batch: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """Absolute differences by item: of torch's loss and gradient from ours, and of both from the reference."""
    wide = {**batch, "logits": batch["logits"].double()}
    ours, torchs = ours_and_gradient(batch), torchs_and_gradient(batch)
    ours_wide, torchs_wide = ours_and_gradient(wide), torchs_and_gradient(wide)
    exact = exact_losses(wide)
    return {
        "loss, float32": np.abs(ours[0] - torchs[0]),
        "loss, float64": np.abs(ours_wide[0] - torchs_wide[0]),
        "gradient, float32": np.abs(ours[1] - torchs[1]).max((1, 2)),
        "gradient, float64": np.abs(ours_wide[1] - torchs_wide[1]).max((1, 2)),
        "ours from the reference, float32": np.abs(ours[0] - exact),
        "torch's from the reference, float32": np.abs(torchs[0] - exact),
    }


def ours_and_gradient(batch: dict[str, Tensor]) -> tuple[np.ndarray, np.ndarray]:
    logits = batch["logits"].requires_grad_()
    loss = ctc_loss(logits, batch["targets"], batch["logit_lengths"], batch["target_lengths"])
    return with_gradient(loss, logits)


def torchs_and_gradient(batch: dict[str, Tensor]) -> tuple[np.ndarray, np.ndarray]:
    logits = batch["logits"].requires_grad_()
    scores = logits.log_softmax(2).transpose(0, 1)
    loss = torch.nn.functional.ctc_loss(
        scores, batch["targets"], batch["logit_lengths"], batch["target_lengths"], reduction="none"
    )
    return with_gradient(loss, logits)


def with_gradient(loss: Tensor, logits: Tensor) -> tuple[np.ndarray, np.ndarray]:
    (gradient,) = torch.autograd.grad(loss.sum(), logits)
    return loss.detach().double().numpy(), gradient.double().numpy()


def exact_losses(batch: dict[str, Tensor]) -> np.ndarray:
    losses, _ = ctc_loss_and_grad(*(tensor.detach().numpy() for tensor in batch.values()))
    return np.asarray(losses)


def summarise(differences: np.ndarray) -> dict[str, Any]:
    return {
        "items": len(differences),
        "mean": float(f"{differences.mean():.2e}"),
        "standard deviation": float(f"{differences.std():.2e}"),
        "worst": float(f"{differences.max():.2e}"),
    }


if __name__ == "__main__":
    main()
