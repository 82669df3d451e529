"""Reads words from images: each letter is a fixed glyph of its own width; convolutions, a BiLSTM, CTC."""

from types import SimpleNamespace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils.data import DataLoader

LETTERS = "abcABdé²"
HEIGHT, BATCH, STEPS, WARM_UP, LEARNING_RATE, EVALUATE = 12, 16, 420, 20, 5e-3, 20
GLYPHS = torch.Generator().manual_seed(7)
GLYPHS = {c: (torch.rand(HEIGHT, 6 + k % 4, generator=GLYPHS) < 0.4).float() for k, c in enumerate(LETTERS)}


class Vocabulary:
    """Class 0 is the blank, class 1 a letter that is not known."""

    def __init__(self, texts):
        self.symbols = ["", "�"] + sorted(set("".join(texts)))
        self.ids = {symbol: k for k, symbol in enumerate(self.symbols)}

    def encode(self, text):
        return [self.ids.get(letter, 1) for letter in text]

    def decode(self, ids):
        return "".join(self.symbols[k] for k in ids)


class Batch(NamedTuple):
    images: Tensor  # (batch, 1, height, width)
    widths: Tensor
    targets: Tensor
    target_lengths: Tensor


def make_text(rng):
    size = int(torch.randint(2, 5, (), generator=rng))
    return "".join(LETTERS[k] for k in torch.randint(len(LETTERS), (size,), generator=rng))


def paint(text, rng):
    ink = torch.cat([GLYPHS[letter] for letter in text], 1)
    ink = (0.9 * ink + 0.1 * torch.rand(ink.shape, generator=rng)).clamp(0, 1)
    return (255 * ink).round()


def make_rows(count, rng):
    texts = [make_text(rng) for _ in range(count)]
    return [(paint(text, rng), text) for text in texts]


def collate(rows, vocabulary):
    images, texts = zip(*rows)
    widths = torch.tensor([image.shape[1] for image in images])
    batch = torch.zeros(len(rows), 1, HEIGHT, int(widths.max()))
    for place, image in enumerate(images):
        batch[place, 0, :, : image.shape[1]] = image / 255
    ids = [vocabulary.encode(text) for text in texts]
    targets = nn.utils.rnn.pad_sequence([torch.tensor(one) for one in ids], batch_first=True)
    return Batch(batch, widths, targets, torch.tensor([len(one) for one in ids]))


def mask_of(lengths, size):
    return torch.arange(size)[None, :] < lengths[:, None]


class Reader(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 16, 3, padding=1)
        self.project = nn.Linear(16 * HEIGHT // 4, 48)
        self.norm = nn.LayerNorm(48)
        self.dropout = nn.Dropout(0.1)
        self.recurrent = nn.LSTM(48, 48, bidirectional=True, batch_first=True)
        self.head = nn.Linear(96, classes)

    def forward(self, images, widths):
        x = F.relu(self.first(images)) * mask_of(widths, images.shape[3])[:, None, None, :]
        x = F.max_pool2d(x, 2, ceil_mode=True)
        lengths = (widths + 1) // 2
        x = F.max_pool2d(F.relu(self.second(x)), (2, 1))
        x = x.permute(0, 3, 1, 2).flatten(2)  # (batch, time, channels * height)
        x = self.dropout(F.relu(self.norm(self.project(x))))
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        x, _ = pad_packed_sequence(self.recurrent(packed)[0], batch_first=True)
        return F.log_softmax(self.head(x), -1), lengths


def loss(model, batch):
    scores, lengths = model(batch.images, batch.widths)
    return F.ctc_loss(scores.transpose(0, 1), batch.targets, lengths, batch.target_lengths, blank=0)


def read(run, batch):
    scores, lengths = run.model(batch.images, batch.widths)
    for row, length in zip(scores.argmax(-1), lengths):
        ids = torch.unique_consecutive(row[:length])
        yield run.vocabulary.decode([int(k) for k in ids if k != run.blank])


def distance(one, other):
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


@torch.no_grad()
def measure(run):
    """Character error rate."""
    run.model.eval()
    found = [text for batch in run.held_out for text in read(run, batch)]
    wrong = sum(map(distance, run.held_out_texts, found))
    return wrong / sum(map(len, run.held_out_texts))


def build(seed):
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed)
    rows, held_out = make_rows(800, rng), make_rows(64, rng)
    texts = [text for _, text in rows]
    vocabulary = Vocabulary(texts)
    model = Reader(len(vocabulary.symbols))
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / WARM_UP) * max(0.05, 1 - step / STEPS)
    )
    train = DataLoader(
        rows, BATCH, shuffle=True, drop_last=True, collate_fn=lambda rows: collate(rows, vocabulary),
        generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip
    return SimpleNamespace(
        model=model, loss=loss, train=train, held_out=[collate(held_out, vocabulary)], optimizer=optimizer,
        scheduler=scheduler, steps=STEPS, vocabulary=vocabulary, texts=texts, blank=0,
        held_out_texts=[text for _, text in held_out], target=0.1, better="lower", history=[],
    )  # fmt: skip


def train(run, watch):
    step = 0
    while step < run.steps:
        for batch in run.train:
            run.model.train()
            run.optimizer.zero_grad()
            value = watch.step(run.loss, batch)
            value.backward()
            nn.utils.clip_grad_norm_(run.model.parameters(), 5.0)
            run.optimizer.step()
            run.scheduler.step()
            step += 1
            if step % EVALUATE == 0:
                run.history.append((step, measure(run)))
            if step == run.steps:
                return
