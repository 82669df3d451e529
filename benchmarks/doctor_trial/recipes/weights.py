"""Predicts the weight that a gel shows for a peptide, from its letters and the density of the gel."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torch.utils.data import DataLoader

N_STEPS = 220
EVAL_EVERY = 20
BATCH_SIZE = 24
LR = 3e-3
EMB, HID, MIX = 24, 32, 32
DENSITY_MEAN, DENSITY_STD = 120.0, 23.0  # grams per litre

RESIDUES = "ACDEFGHIKLMNPQRSTVWYsty"  # s, t and y carry a phosphate
_fixed = torch.Generator().manual_seed(20)
SHIFT = dict(zip(RESIDUES, (0.5 + 0.7 * torch.randn(len(RESIDUES), generator=_fixed)).tolist()))
SHIFT.update({letter: SHIFT[letter.upper()] + 1.5 for letter in "sty"})
CHARGE = {"D": -1, "E": -1, "K": 1, "R": 1, "s": -2, "t": -2, "y": -2}


class Alphabet:
    PAD, UNK = 0, 1

    def __init__(self, sequences: list[str]) -> None:
        self.letters = sorted(set("".join(sequences)))
        self.index = {letter: i for i, letter in enumerate(self.letters, start=2)}

    def __len__(self) -> int:
        return len(self.letters) + 2

    def encode(self, sequence: str) -> list[int]:
        return [self.index.get(letter, self.UNK) for letter in sequence]

    def decode(self, ids: list[int]) -> str:
        return "".join("?" if i == self.UNK else self.letters[i - 2] for i in ids if i != self.PAD)


def sample(rng: torch.Generator) -> tuple[str, float, float]:
    """Sequence, density of the gel, apparent weight."""
    length = int(torch.randint(6, 19, (1,), generator=rng))
    seq = "".join(RESIDUES[i] for i in torch.randint(len(RESIDUES), (length,), generator=rng))
    density = 80 + 80 * torch.rand(1, generator=rng).item()
    weight = 20 + sum(SHIFT[letter] for letter in seq)
    # neighbours with charges of one sign stretch the chain
    weight += sum(0.5 for a, b in itertools.pairwise(seq) if CHARGE.get(a, 0) * CHARGE.get(b, 0) > 0)
    weight += 0.05 * (density - DENSITY_MEAN)
    return seq, density, weight + 0.5 * torch.randn(1, generator=rng).item()


class Collator:
    """Turns rows into a dict of tensors; targets have mean 0 and variance 1 over the training rows."""

    def __init__(self, alphabet: Alphabet, mean: float, std: float) -> None:
        self.alphabet, self.mean, self.std = alphabet, mean, std

    def __call__(self, rows: list[tuple[str, float, float]]) -> dict[str, Tensor]:
        ids = [torch.tensor(self.alphabet.encode(seq)) for seq, _, _ in rows]
        density = torch.tensor([density for _, density, _ in rows])
        weight = torch.tensor([weight for _, _, weight in rows])
        return {
            "ids": pad_sequence(ids, batch_first=True, padding_value=Alphabet.PAD),
            "lengths": torch.tensor([len(x) for x in ids]),
            "density": (density - DENSITY_MEAN) / DENSITY_STD,
            "target": (weight - self.mean) / self.std,
        }


class AttentionPool(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.score = nn.Linear(size, 1)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        scores = self.score(states).squeeze(-1)
        scores = scores.masked_fill(~mask, float("-inf"))
        return torch.einsum("bt,btd->bd", scores.softmax(dim=1), states)


class GelNet(nn.Module):
    def __init__(self, n_letters: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(n_letters, EMB, padding_idx=Alphabet.PAD)
        self.norm = nn.LayerNorm(EMB)
        self.lstm = nn.LSTM(EMB, HID, batch_first=True, bidirectional=True)
        self.pool = AttentionPool(2 * HID)
        self.mix = nn.Linear(2 * HID + 1, MIX)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Linear(MIX, 1)

    def forward(self, ids: Tensor, lengths: Tensor, density: Tensor) -> Tensor:
        x = self.norm(self.embed(ids))
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        mask = torch.arange(states.size(1)) < lengths[:, None]
        pooled = self.pool(states, mask)
        hidden = F.silu(self.mix(torch.cat([pooled, density[:, None]], dim=1)))
        return self.head(self.drop(hidden)).squeeze(1)


def loss(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    prediction = model(batch["ids"], batch["lengths"], batch["density"])
    return F.huber_loss(prediction, batch["target"])


def measure(run: SimpleNamespace) -> float:
    """R2 on the held-out peptides."""
    run.model.eval()
    with torch.inference_mode():
        guesses = [run.model(batch["ids"], batch["lengths"], batch["density"]) for batch in run.held_out]
    truth = torch.cat([batch["target"] for batch in run.held_out])
    residual = torch.cat(guesses).flatten() - truth
    return 1 - float(residual.pow(2).sum() / (truth - truth.mean()).pow(2).sum())


def build(seed: int) -> SimpleNamespace:
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(1000 + seed)
    rows = [sample(rng) for _ in range(1600)]
    train_rows, test_rows = rows[200:], rows[:200]
    sequences = [seq for seq, _, _ in train_rows]
    alphabet = Alphabet(sequences)
    weights = torch.tensor([weight for _, _, weight in train_rows])
    collate = Collator(alphabet, weights.mean().item(), weights.std().item())

    model = GelNet(len(alphabet))
    optimizer = torch.optim.RMSprop(model.parameters(), lr=LR, alpha=0.95)
    scheduler = torch.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=N_STEPS, power=0.9)
    return SimpleNamespace(
        model=model, loss=loss, optimizer=optimizer, scheduler=scheduler, steps=N_STEPS,
        train=DataLoader(train_rows, BATCH_SIZE, shuffle=True, drop_last=True, collate_fn=collate),
        held_out=list(DataLoader(test_rows, 100, collate_fn=collate)),
        vocabulary=alphabet, texts=sequences, held_out_texts=[seq for seq, _, _ in test_rows], blank=None,
        target=0.8, better="higher", history=[],
    )  # fmt: skip


def train(run: SimpleNamespace, watch: SimpleNamespace) -> None:
    done = 0
    for _ in itertools.count():
        for batch in run.train:
            run.model.train()
            run.optimizer.zero_grad()
            error = watch.step(run.loss, batch)
            error.backward()
            nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)
            run.optimizer.step()
            run.scheduler.step()
            done += 1
            if done % EVAL_EVERY == 0:
                run.history.append((done, measure(run)))
            if done == run.steps:
                return
