"""Copies Morse code from the levels of two noisy receivers: strided convolutions, a GRU in both directions, CTC."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from types import SimpleNamespace

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torch.utils.data import DataLoader, Dataset

BLANK, UNKNOWN = 0, 1
MORSE = {
    "A": ".-", "E": ".", "I": "..", "M": "--", "N": "-.", "O": "---", "S": "...", "T": "-",
}  # fmt: skip


@dataclass(frozen=True)
class Config:
    channels: int = 3
    width: int = 64
    dropout: float = 0.1
    train_size: int = 800
    test_size: int = 64
    batch_size: int = 16
    lr: float = 5e-3
    steps: int = 360
    warmup: int = 20
    eval_every: int = 20
    max_norm: float = 5.0


CFG = Config()


class Tokenizer:
    def __init__(self, transcripts: list[str]) -> None:
        self.alphabet = sorted(set("".join(transcripts)))

    @property
    def num_classes(self) -> int:
        return len(self.alphabet) + 2

    def encode(self, text: str) -> list[int]:
        return [self.alphabet.index(c) + 2 if c in self.alphabet else UNKNOWN for c in text]

    def decode(self, ids: list[int]) -> str:
        return "".join(self.alphabet[i - 2] if i > UNKNOWN else "?" for i in ids)


def key(text: str, rng: torch.Generator) -> Tensor:
    """1 in frames where the key is down; a dot is 2 frames, or 3 when the hand is slow."""

    def hold(dots: int, down: float) -> list[float]:
        return [down] * (2 * dots + int(torch.randint(2, (), generator=rng)))

    frames = hold(2, 0.0)
    for letter in text:
        for mark in MORSE[letter]:
            frames += hold(1 if mark == "." else 3, 1.0) + hold(1, 0.0)
        frames += hold(3, 0.0)
    return torch.tensor(frames)


def receive(down: Tensor, rng: torch.Generator) -> Tensor:
    """(frames, 3): levels of two receivers and of the noise between stations, in dB."""
    floor = -70 + 10 * torch.rand((), generator=rng)
    gains = torch.tensor([24.0, 16.0]) + 6 * torch.rand(2, generator=rng)
    levels = floor + gains * down[:, None] + 2.0 * torch.randn(len(down), 2, generator=rng)
    noise = floor + 1.0 * torch.randn(len(down), 1, generator=rng)
    return torch.cat([levels, noise], dim=1)


def normalize(levels: Tensor) -> Tensor:
    return (levels - levels.mean(0)) / levels.std(0)


class Messages(Dataset):
    """Random messages of 2 to 4 letters."""

    def __init__(self, size: int, rng: torch.Generator) -> None:
        self.items = []
        for _ in range(size):
            length = int(torch.randint(2, 5, (), generator=rng))
            text = "".join(list(MORSE)[i] for i in torch.randint(len(MORSE), (length,), generator=rng))
            levels = receive(key(text, rng), rng)
            self.items.append((normalize(levels), text))

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[Tensor, str]:
        return self.items[index]


class Collate:
    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer

    def __call__(self, items: list[tuple[Tensor, str]]) -> dict[str, Tensor]:
        signals = [levels for levels, _ in items]
        labels = [torch.tensor(self.tokenizer.encode(text)) for _, text in items]
        return {
            "signal": pad_sequence(signals, batch_first=True),
            "mask": pad_sequence([torch.ones(len(s), dtype=torch.bool) for s in signals], batch_first=True),
            "labels": pad_sequence(labels, batch_first=True),
            "label_lengths": torch.tensor([len(ids) for ids in labels]),
        }


def fade(signal: Tensor, longest: int = 6) -> Tensor:
    """The signal is lost for some frames."""
    signal = signal.clone()
    for row in signal:
        start = int(torch.randint(0, len(row), ()))
        row[start : start + int(torch.randint(0, longest + 1, ()))] = 0
    return signal


class Operator(nn.Module):
    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.stem = nn.ModuleList(
            [
                nn.Conv1d(CFG.channels, CFG.width, kernel_size=7, stride=2, padding=3),
                nn.Conv1d(CFG.width, CFG.width, kernel_size=9, stride=2, padding=4),
            ]
        )
        self.norm = nn.LayerNorm(CFG.width)
        self.dropout = nn.Dropout(CFG.dropout)
        self.rnn = nn.GRU(CFG.width, CFG.width, batch_first=True, bidirectional=True)
        self.classifier = nn.Linear(2 * CFG.width, num_classes)

    def forward(self, signal: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        if self.training:
            signal = fade(signal)
        x = signal.transpose(1, 2)
        for conv in self.stem:
            x = torch.relu(conv(x))
            mask = mask[:, ::2]
            x = x * mask[:, None]
        x = self.dropout(self.norm(x.transpose(1, 2)))
        lengths = mask.sum(1)
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        x, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True)
        logits = self.classifier(x)
        return logits.log_softmax(-1), lengths


criterion = nn.CTCLoss(blank=BLANK)


def loss(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    log_probs, lengths = model(batch["signal"], batch["mask"])
    return criterion(log_probs.transpose(0, 1), batch["labels"], lengths, batch["label_lengths"])


def greedy(log_probs: Tensor, lengths: Tensor) -> list[list[int]]:
    best = log_probs.argmax(-1)
    return [
        [i for i, _ in itertools.groupby(row[:length].tolist()) if i != BLANK]
        for row, length in zip(best, lengths)
    ]  # fmt: skip


@torch.no_grad()
def measure(run: SimpleNamespace) -> float:
    """Share of messages copied without an error."""
    run.model.eval()
    copied = []
    for batch in run.held_out:
        log_probs, lengths = run.model(batch["signal"], batch["mask"])
        copied += [run.vocabulary.decode(ids) for ids in greedy(log_probs, lengths)]
    return sum(a == b for a, b in zip(copied, run.held_out_texts)) / len(copied)


def lr_factor(step: int) -> float:
    if step < CFG.warmup:
        return (step + 1) / CFG.warmup
    progress = (step - CFG.warmup) / (CFG.steps - CFG.warmup)
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def build(seed: int) -> SimpleNamespace:
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(1000 + seed)
    train_set = Messages(CFG.train_size, rng)
    test_set = Messages(CFG.test_size, rng)
    texts = [text for _, text in train_set.items]
    tokenizer = Tokenizer(texts)
    collate = Collate(tokenizer)
    model = Operator(tokenizer.num_classes)
    optimizer = torch.optim.AdamW(model.parameters(), lr=CFG.lr, weight_decay=1e-3)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lr_factor)
    loader = DataLoader(
        train_set, batch_size=CFG.batch_size, shuffle=True, drop_last=True, collate_fn=collate,
        generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip
    half = CFG.test_size // 2
    return SimpleNamespace(
        model=model,
        loss=loss,
        train=loader,
        held_out=[collate(test_set.items[:half]), collate(test_set.items[half:])],
        held_out_texts=[text for _, text in test_set.items],
        optimizer=optimizer,
        scheduler=scheduler,
        steps=CFG.steps,
        vocabulary=tokenizer,
        texts=texts,
        blank=BLANK,
        target=0.7,
        better="higher",
        history=[],
    )


def train(run: SimpleNamespace, watch) -> None:
    batches = itertools.chain.from_iterable(itertools.repeat(run.train))
    for step, batch in enumerate(itertools.islice(batches, run.steps), start=1):
        run.model.train()
        run.optimizer.zero_grad()
        ctc = watch.step(run.loss, batch)
        ctc.backward()
        nn.utils.clip_grad_norm_(run.model.parameters(), CFG.max_norm)
        run.optimizer.step()
        run.scheduler.step()
        if step % CFG.eval_every == 0:
            run.history.append((step, measure(run)))
