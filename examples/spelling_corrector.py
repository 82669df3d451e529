"""Train a small spelling corrector, characters to characters, with `seqloss.torch.masked_cross_entropy`.

    python examples/spelling_corrector.py [--steps 2000] [--batch 64] [--errors 0.1] [--seed 0]

Words of all lengths stand in one batch; the loss reads each row up to its own end. Typing errors are made on the fly: a
letter is left out, typed twice, hit on the next key, or swapped with the one before it. Two outputs stand for each
typed letter: the letter that was meant, or nothing, and a letter that was left out after it, or nothing. The words of
the test are not among those of the training.
"""

import argparse
import random

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from seqloss.data.words import split_words
from seqloss.torch import masked_cross_entropy

LETTERS = "abcdefghijklmnopqrstuvwxyz"  # class 0 is nothing, and pads what was typed
ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
NEXT_KEYS = {key: row[max(0, i - 1) : i] + row[i + 1 : i + 2] for row in ROWS for i, key in enumerate(row)}
Typed = tuple[str, list[str]]
"""What was typed, and the letters that each key stands for: none, one or two."""


def type_word(word: str, errors: float, rng: random.Random) -> Typed:
    """Type a word with an error at a share of the letters."""
    typed: list[str] = []
    meant: list[str] = []
    for letter in word:
        kind = rng.choice(("out", "twice", "next key", "swapped")) if rng.random() < errors else "right"
        if kind == "out" and meant and len(meant[-1]) == 1:
            meant[-1] += letter
        elif kind == "twice":
            typed += [letter, letter]
            meant += [letter, ""]
        elif kind == "swapped" and typed:
            typed.insert(len(typed) - 1, letter)
            meant.append(letter)
        else:
            typed.append(rng.choice(NEXT_KEYS[letter]) if kind == "next key" else letter)
            meant.append(letter)
    return "".join(typed), meant


class Corrector(nn.Module):
    """A recurrent network in both directions, with two classifications for each typed letter."""

    def __init__(self, size: int = 96) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(LETTERS) + 1, size)
        self.gru = nn.GRU(size, size, batch_first=True, bidirectional=True)
        self.output = nn.Linear(2 * size, 2 * (len(LETTERS) + 1))

    def forward(self, typed: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:  # (batch, 2 time, classes)
        rows = pack_padded_sequence(self.embedding(typed), lengths, batch_first=True, enforce_sorted=False)
        hidden, _ = pad_packed_sequence(self.gru(rows)[0], batch_first=True)
        return self.output(hidden).reshape(typed.shape[0], 2 * typed.shape[1], -1)


def make_batch(words: list[Typed]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Typed letters (batch, time), classes (batch, 2 time) and typed lengths (batch,)."""
    typed = [torch.tensor([LETTERS.index(key) + 1 for key in keys]) for keys, _ in words]
    meant = [torch.tensor([LETTERS.find(two) + 1 for one in means for two in f"{one:2}"]) for _, means in words]
    return (
        pad_sequence(typed, batch_first=True),
        pad_sequence(meant, batch_first=True),
        torch.tensor(list(map(len, typed))),
    )


def correct(model: Corrector, words: list[Typed]) -> list[str]:
    typed, _, lengths = make_batch(words)
    with torch.no_grad():
        classes = model(typed, lengths).argmax(2)
    return [
        "".join(LETTERS[c - 1] for c in row[: 2 * n] if c)
        for row, n in zip(classes.tolist(), lengths.tolist(), strict=True)
    ]


def count_edits(found: str, word: str) -> int:
    """The fewest letters to insert, remove or replace."""
    row = list(range(len(word) + 1))
    for i, letter in enumerate(found, 1):
        left, row[0] = row[0], i
        for j, other in enumerate(word, 1):
            left, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, left + (letter != other))
    return row[-1]


def report(name: str, found: list[str], words: list[str]) -> None:
    edits = sum(map(count_edits, found, words))
    wrong = sum(map(str.__ne__, found, words))
    print(f"{name}: character error {edits / sum(map(len, words)):.1%}, word error {wrong / len(words):.1%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--errors", type=float, default=0.1, help="share of the letters with an error")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    rng, words, unseen = random.Random(options.seed), split_words("train"), list(split_words("test"))
    model = Corrector()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for step in range(1, options.steps + 1):
        typed, meant, lengths = make_batch(
            [type_word(rng.choice(words), options.errors, rng) for _ in range(options.batch)]
        )
        loss = masked_cross_entropy(model(typed, lengths), meant, 2 * lengths)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 250 == 0 or step == options.steps:
            print(f"step {step}: loss {loss.item():.3f}")
    test = [type_word(word, options.errors, random.Random(i)) for i, word in enumerate(unseen)]
    found = correct(model, test)
    for (keys, _), text, word in list(zip(test, found, unseen, strict=True))[:12]:
        print(f"  {keys:12} -> {text:12} {'' if text == word else f'(meant: {word})'}".rstrip())
    report(f"{len(unseen)} unseen words as typed", [keys for keys, _ in test], unseen)
    report(f"{len(unseen)} unseen words corrected", found, unseen)


if __name__ == "__main__":
    main()
