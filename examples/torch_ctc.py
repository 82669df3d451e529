"""Read Morse code with CTC in PyTorch: own data, own network, own loop, greedy decoding, error rate.

    pip install "seqloss[torch]" rapidfuzz
    python examples/torch_ctc.py

The input says frame by frame whether the key is down. The rows have different lengths, and nobody tells the network
where a letter begins. The last line is the letter error rate on 200 texts that it has not seen.
"""

import numpy as np
import torch
from rapidfuzz.distance import Levenshtein
from torch import nn
from torch.nn.utils.rnn import pad_sequence

from seqloss.torch import ctc_greedy, ctc_loss

MORSE = {"E": ".", "T": "-", "A": ".-", "I": "..", "N": "-.", "M": "--", "S": "...", "R": ".-.", "D": "-..", "U": "..-"}
KEYED = {".": "10", "-": "1110", " ": "00"}  # 1 while the key is down, for two or three frames
LETTERS = "-" + "".join(MORSE)  # class 0 is the blank


def key_text(text, rng):
    """Frames (time, 1) of a keyed text, with noise."""
    units = "".join(KEYED[mark] for letter in text for mark in MORSE[letter] + " ")
    levels = np.repeat(np.array(list(units), float), rng.integers(2, 4, len(units)))
    return torch.tensor(levels + rng.normal(0, 0.1, len(levels)), dtype=torch.float32)[:, None]


def make_batch(rows, rng):
    """Random texts, their padded frames (batch, time, 1) and the number of frames of each."""
    texts = ["".join(rng.choice(list(MORSE), rng.integers(2, 5))) for _ in range(rows)]
    signals = [key_text(text, rng) for text in texts]
    return texts, pad_sequence(signals, batch_first=True), torch.tensor(list(map(len, signals)))


class Reader(nn.Module):
    """Frames (batch, time, 1) to logits (batch, time / 2, classes) and the number of output frames of each row."""

    def __init__(self, size=64):
        super().__init__()
        self.first = nn.Conv1d(1, size, 5, stride=2, padding=2)
        self.layers = nn.ModuleList(nn.Conv1d(size, size, 3, padding=d, dilation=d) for d in (1, 2, 4))
        self.norms = nn.ModuleList(nn.LayerNorm(size) for _ in range(4))
        self.head = nn.Linear(size, len(LETTERS))

    def forward(self, signals, frames):
        x = self.first(signals.transpose(1, 2)).relu().transpose(1, 2)
        frames = (frames + 1) // 2  # the first layer has stride 2
        real = (torch.arange(x.shape[1]) < frames[:, None])[:, :, None]
        for layer, norm in zip(self.layers, self.norms, strict=False):
            x = x + layer((norm(x) * real).transpose(1, 2)).transpose(1, 2).relu()  # the padding reaches no row
        return self.head(self.norms[-1](x)), frames


def main():
    torch.manual_seed(0)
    rng, model = np.random.default_rng(0), Reader()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for step in range(1, 301):
        texts, signals, frames = make_batch(16, rng)
        targets = pad_sequence([torch.tensor([LETTERS.index(c) for c in text]) for text in texts], batch_first=True)
        logits, frames = model(signals, frames)
        loss = ctc_loss(logits, targets, frames, torch.tensor([len(text) for text in texts]), reduction="labels")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 100 == 0:
            print(f"step {step}: {loss.item():.3f} nats/letter")
    texts, signals, frames = make_batch(200, np.random.default_rng(1))
    with torch.no_grad():
        found = ["".join(LETTERS[k] for k in row.labels) for row in ctc_greedy(*model(signals, frames))]
    print(*(f"{text} -> {read}" for text, read in zip(texts[:3], found, strict=False)), sep="\n")
    print(f"letter error rate: {sum(map(Levenshtein.distance, texts, found)) / len(''.join(texts)):.1%}")


if __name__ == "__main__":
    main()
