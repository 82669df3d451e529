"""Move points by the soft nearest neighbour loss: down, until their classes are apart, or up, until they are entangled.

    python examples/entangled_clusters.py [--steps 200] [--out entangled-clusters.png]

As in figure 1 of "Analyzing and improving representations with the soft nearest neighbor loss" (Frosst, Papernot,
Hinton 2019): 200 points from a normal distribution in the plane get one of four labels at random. Then gradient descent
on their coordinates makes the loss small (top), or large (bottom). Needs matplotlib.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("agg")
import matplotlib.pyplot as plt

from seqloss.numpy import soft_nearest_neighbor_and_grad

COLOURS = ["#1f6f8b", "#d98b3a", "#6b4e9b", "#8aa83d"]
MARKS = ["o", "s", "^", "D"]
"""Beside colours, for readers who see these alike."""

TEMPERATURE = 2.0
"""So large that whole classes come together, and not each point and its nearest one."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--steps", type=int, default=200)
    options.add_argument("--out", type=Path, default=Path("entangled-clusters.png"))
    given = options.parse_args()
    rng = np.random.default_rng(0)
    points, labels = rng.normal(size=(200, 2)), rng.integers(0, 4, 200)
    shown = [0, given.steps // 8, given.steps]
    down, up = (move(points, labels, shown, direction) for direction in (-1.0, 1.0))
    draw(labels, {"minimised": down, "maximised": up}, given.out)
    print(f"loss {down[0][2]:.2f}, minimised {down[-1][2]:.2f}, maximised {up[-1][2]:.2f}: {given.out}")


Moment = tuple[int, np.ndarray, float]
"""A step, the points then, and their loss."""


def move(points: np.ndarray, labels: np.ndarray, shown: list[int], direction: float) -> list[Moment]:
    """The points and the loss after some steps of Adam."""
    points, found = points.copy(), []
    mean, square = np.zeros_like(points), np.zeros_like(points)
    for step in range(max(shown) + 1):
        loss, gradient, _ = soft_nearest_neighbor_and_grad(points, labels, temperature=TEMPERATURE)
        if step in shown:
            found.append((step, points.copy(), float(loss)))
        mean, square = 0.9 * mean + 0.1 * gradient, 0.99 * square + 0.01 * gradient**2
        root = np.sqrt(square / (1 - 0.99 ** (step + 1)))
        points += direction * 0.05 * mean / (1 - 0.9 ** (step + 1)) / (root + 1e-12)
    return found


def draw(labels: np.ndarray, rows: dict[str, list[Moment]], out: Path) -> None:
    columns = len(next(iter(rows.values())))
    figure, axes = plt.subplots(len(rows), columns, figsize=(1.8 * columns, 2.1 * len(rows)), layout="constrained")
    for line, (name, moments) in zip(axes, rows.items(), strict=True):
        for place, (step, points, loss) in zip(line, moments, strict=True):
            for label, (colour, mark) in enumerate(zip(COLOURS, MARKS, strict=True)):
                chosen = points[labels == label]
                place.scatter(*chosen.T, s=8, color=colour, marker=mark, edgecolor="white", linewidth=0.2)
            place.set_title(f"{name}\nstep {step}: loss {loss:.2f}", fontsize=9)
            place.set_aspect("equal", adjustable="datalim")
            place.tick_params(labelsize=7)
    figure.savefig(out, dpi=220)


if __name__ == "__main__":
    main()
