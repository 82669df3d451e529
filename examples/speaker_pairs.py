"""Tell whether two recordings are of the same speaker: embeddings from your own loop, and the equal error rate.

    pip install "seqloss[speech]"
    python examples/make_folders.py recordings voices
    python examples/speaker_pairs.py --data voices

The manifest has a column `speaker`; rows with the split "test" are not trained. The loss pulls the embeddings of one
speaker together and pushes others apart. The last line is the equal error rate over all pairs of test recordings.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence

from seqloss.data import make_rows_error, read_rows, read_sound, split_rows
from seqloss.data.paths import SOUNDS
from seqloss.numpy import equal_error_rate
from seqloss.torch import pairwise_kl_hinge
from seqloss.torch.nn import LogMel


class Embedder(nn.Module):
    """Padded features (batch, frames, 40) and their lengths to embeddings (batch, 16), from the mean over frames."""

    def __init__(self, size=64):
        super().__init__()
        self.frames = nn.Sequential(nn.LayerNorm(40), nn.Linear(40, size), nn.ReLU(), nn.Linear(size, size), nn.ReLU())
        self.head = nn.Linear(size, 16)

    def forward(self, features, lengths):
        real = (torch.arange(features.shape[1]) < lengths[:, None])[:, :, None]
        return self.head((self.frames(features) * real).sum(1) / lengths[:, None])


def load(rows):
    """Padded log-mel features (batch, frames, 40) of recordings, and the number of frames of each."""
    sounds = [torch.from_numpy(read_sound(row.path, 8000)) for row in rows]
    lengths = torch.tensor([len(sound) for sound in sounds])
    return LogMel(8000, filters=40)(pad_sequence(sounds, batch_first=True), lengths)


def score_pairs(embeddings, speakers):
    """Minus the symmetric KL divergence of each pair of rows, and whether they are of the same speaker."""
    logs = embeddings.log_softmax(1)
    first, second = np.triu_indices(len(speakers), 1)
    divergences = ((logs[first].exp() - logs[second].exp()) * (logs[first] - logs[second])).sum(1)
    return -divergences.numpy(), speakers[first] == speakers[second]


def main():
    parser = argparse.ArgumentParser(description="Tell whether two recordings are of the same speaker.")
    parser.add_argument("--data", type=Path, required=True, help="folder with a manifest.csv that has a column speaker")
    rows, bad, _ = read_rows(parser.parse_args().data, kind=SOUNDS, column="speaker")
    if bad:
        raise make_rows_error(bad, skippable=False)
    splits, _ = split_rows(rows)
    _, labels = np.unique([row.text for row in splits.train], return_inverse=True)
    features, lengths = load(splits.train)
    torch.manual_seed(0)
    rng, model = np.random.default_rng(0), Embedder()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for step in range(1, 201):
        batch = rng.choice(len(labels), 32, replace=False)
        loss = pairwise_kl_hinge(model(features[batch], lengths[batch]), labels[batch], margin=2.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 50 == 0:
            print(f"step {step}: loss {loss.item():.3f}")
    with torch.no_grad():
        scores, same = score_pairs(model(*load(splits.test)), np.array([row.text for row in splits.test]))
    print(f"equal error rate: {equal_error_rate(scores, same):.1%} of {len(same)} pairs of test recordings")


if __name__ == "__main__":
    main()
