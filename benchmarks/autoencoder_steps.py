"""How many training steps an LSTM autoencoder takes to fit one sequence of 14 steps of 5 features.

    python benchmarks/autoencoder_steps.py [--seeds 10] [--save]

Steps until the mean squared error is 1e-4, in the units of the sequence; a training that does not get there counts with
the limit. The sequence is fitted as it is, and as its 13 differences.

published       one seed: an LSTM encoder, whose last state is repeated, an LSTM decoder and a linear layer, of hidden
                size 100; Adam with its defaults
like for like   the same of torch.nn, with the weights that Keras begins with
torch.nn        the same with the weights that torch.nn begins with
our defaults    `SequenceAutoencoder` with the optimiser, learning rate and clipping of `seqloss train autoencoder`
size 5          the two with hidden size 5

Each training is one line in the output. `--save` writes results/autoencoder_steps.json after each one, and continues
what is there; then it draws docs/img/autoencoder-steps-light.svg and -dark.svg.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from machine import machine
from torch import Tensor, nn

from seqloss.recipes.autoencoder.settings import Settings
from seqloss.recipes.autoencoder.task import AutoencoderTask
from seqloss.torch.nn import SequenceAutoencoder, difference

GOAL = 1e-4
LIMIT = 2000
SMALL_LIMIT = 500
"""For hidden size 5."""

SEQUENCE = [
    [0.5122, 0.0360, 0.7027, 0.0721, 0.1892], [0.5177, 0.0833, 0.6574, 0.1204, 0.1389],
    [0.4643, 0.0364, 0.6242, 0.1576, 0.1818], [0.4375, 0.0133, 0.5733, 0.1867, 0.2267],
    [0.4838, 0.0625, 0.6042, 0.1771, 0.1562], [0.4804, 0.0175, 0.6798, 0.1053, 0.1974],
    [0.5030, 0.0445, 0.6712, 0.1438, 0.1404], [0.4987, 0.0490, 0.6699, 0.1536, 0.1275],
    [0.4898, 0.0388, 0.6704, 0.1330, 0.1579], [0.4711, 0.0390, 0.5877, 0.1532, 0.2201],
    [0.4627, 0.0484, 0.5269, 0.1882, 0.2366], [0.5043, 0.0807, 0.6646, 0.1429, 0.1118],
    [0.4852, 0.0606, 0.6364, 0.1515, 0.1515], [0.5279, 0.0629, 0.6886, 0.1514, 0.0971],
]  # fmt: skip

PUBLISHED = {"raw": [942], "differences": [215]}


class Plain(nn.Module):
    """LSTM, its last state repeated, LSTM, linear layer."""

    def __init__(self, features: int, size: int, keras: bool = False) -> None:
        super().__init__()
        self.encoder = nn.LSTM(features, size, batch_first=True)
        self.decoder = nn.LSTM(size, size, batch_first=True)
        self.head = nn.Linear(size, features)
        if keras:
            self.begin_as_keras(size)

    def begin_as_keras(self, size: int) -> None:
        """Glorot's uniform weights, orthogonal recurrent ones, biases of 0, and 1 for the forget gate."""
        for name, weight in self.named_parameters():
            if "bias" in name:
                nn.init.zeros_(weight)
            else:
                (nn.init.orthogonal_ if "weight_hh" in name else nn.init.xavier_uniform_)(weight)
        for part in (self.encoder, self.decoder):
            nn.init.ones_(part.bias_ih_l0.detach()[size : 2 * size])

    def forward(self, x: Tensor) -> Tensor:
        _, (code, _) = self.encoder(x)
        found: Tensor = self.head(self.decoder(code[-1][:, None].expand(-1, x.shape[1], -1))[0])
        return found


def train_plain(size: int, x: Tensor, limit: int) -> tuple[int, float]:
    model = Plain(x.shape[2], size)
    return count_steps(model, x, torch.optim.Adam(model.parameters()), limit)


def train_keras(size: int, x: Tensor, limit: int) -> tuple[int, float]:
    model = Plain(x.shape[2], size, keras=True)
    return count_steps(model, x, torch.optim.Adam(model.parameters(), eps=1e-7), limit)


def train_ours(size: int, x: Tensor, limit: int) -> tuple[int, float]:
    """The recipe's optimiser at its peak learning rate: its schedule depends on the number of epochs."""
    model, task = SequenceAutoencoder(x.shape[2], size), AutoencoderTask(Settings(size=size))
    return count_steps(model, x, task.make_optimizer(model), limit, task.gradient_clip)


def count_steps(
    model: nn.Module, x: Tensor, optimizer: Any, limit: int, clip: float | None = None
) -> tuple[int, float]:
    """Steps to the goal, and the mean squared error at the end."""
    for step in range(limit + 1):
        loss = (model(x) - x).square().mean()
        if loss.item() <= GOAL or step == limit:
            return step, loss.item()
        optimizer.zero_grad()
        loss.backward()
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
    raise AssertionError


ROWS: dict[str, tuple[Callable[[int, Tensor, int], tuple[int, float]], int, int]] = {
    "our defaults": (train_ours, 100, LIMIT),
    "like for like": (train_keras, 100, LIMIT),
    "torch.nn": (train_plain, 100, LIMIT),
    "like for like, size 5": (train_keras, 5, SMALL_LIMIT),
    "our defaults, size 5": (train_ours, 5, SMALL_LIMIT),
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seeds", type=int, default=10)
    options.add_argument("--save", action="store_true")
    given = options.parse_args()
    torch.set_num_threads(1)
    file = Path(__file__).parent / "results" / "autoencoder_steps.json"
    found: dict[str, Any] = json.loads(file.read_text())["steps"] if given.save and file.exists() else {}
    raw = torch.tensor(SEQUENCE)[None]
    data = {"raw": raw, "differences": difference(raw).values}
    for name, (train, size, limit) in ROWS.items():
        for kind, x in data.items():
            done = found.setdefault(name, {}).setdefault(kind, {"steps": [], "errors": []})
            for seed in range(len(done["steps"]), given.seeds):
                torch.manual_seed(seed)
                steps, error = train(size, x, limit)
                done["steps"].append(steps)
                done["errors"].append(float(f"{error:.4g}"))
                print(f"{name:22} {kind:12} seed {seed}: {steps} steps, mean squared error {error:.3g}", flush=True)
                if given.save:
                    save(file, data, found)
    for name, kinds in found.items():
        print(f"{name:22}", {kind: median(values["steps"]) for kind, values in kinds.items()})
    if given.save:
        draw(found, file.parents[2] / "docs" / "img")


def save(file: Path, data: dict[str, Tensor], found: dict[str, Any]) -> None:
    average = {kind: float(f"{(x - x.mean(1, keepdim=True)).square().mean().item():.4g}") for kind, x in data.items()}
    medians = {name: {kind: median(v["steps"]) for kind, v in kinds.items()} for name, kinds in found.items()}
    saved = {
        "machine": machine("torch", "numpy"),
        "goal": GOAL,
        "limits": {"size 100": LIMIT, "size 5": SMALL_LIMIT},
        "error of the average": average,
        "published": PUBLISHED,
        "medians": medians,
        "steps": found,
    }
    file.write_text(json.dumps(saved, indent=1) + "\n")


def draw(found: dict[str, Any], folder: Path) -> None:
    """A point for each seed, a bar at the median, a line for each row; raw values beside differences."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = {"published": {kind: {"steps": steps} for kind, steps in PUBLISHED.items()}}
    shown |= {name: found[name] for name in ("like for like", "torch.nn", "our defaults") if name in found}
    for name, style in {"light": "default", "dark": "dark_background"}.items():
        with pyplot.style.context(style):
            figure, every = pyplot.subplots(1, 2, figsize=(9, 2.7), sharey=True, layout="constrained")
            for axes, kind in zip(every, PUBLISHED, strict=True):
                for row, values in enumerate(kinds[kind]["steps"] for kinds in shown.values()):
                    axes.plot(values, [row] * len(values), "o", color="tab:blue", alpha=0.6)
                    axes.plot([median(values)], [row], "|", color="tab:red", markersize=24, markeredgewidth=2)
                axes.set(title=kind, xlabel="steps to a mean squared error of 1e-4", xlim=(0, None))
                axes.set_yticks(range(len(shown)), list(shown))
                axes.set_ylim(len(shown) - 0.5, -0.5)
            folder.mkdir(exist_ok=True)
            figure.savefig(folder / f"autoencoder-steps-{name}.svg", transparent=True, metadata={"Date": None})
            pyplot.close(figure)


if __name__ == "__main__":
    main()
