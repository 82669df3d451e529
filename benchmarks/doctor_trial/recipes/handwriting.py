"""Reads short words from pen strokes: differences of points, a convolution of stride two, a GRU, CTC; time first."""

from dataclasses import dataclass
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torch.utils.data import DataLoader

LETTERS = "aceoACEOé³"
BATCH = 16
STEPS = 400
WARM_UP = 15
EVALUATE = 20
LEARNING_RATE = 4e-3
SIZE = 40
UNIT = 60.0  # pen units
MAKER = torch.Generator().manual_seed(11)
GLYPHS = {letter: UNIT * torch.randn(9 + k % 5, 2, generator=MAKER) for k, letter in enumerate(LETTERS)}


class Alphabet:
    """Class 0 is the blank, class 1 any letter that is not known."""

    def __init__(self, texts):
        self.letters = sorted({letter for text in texts for letter in text})

    def __len__(self):
        return len(self.letters) + 2

    def encode(self, text):
        return [self.letters.index(letter) + 2 if letter in self.letters else 1 for letter in text]

    def decode(self, ids):
        return "".join("?" if k < 2 else self.letters[k - 2] for k in ids)


@dataclass
class Ink:
    points: Tensor  # (time, batch, 3)
    sizes: Tensor
    labels: Tensor  # of all rows, one after another
    label_sizes: Tensor


def write(text, rng):
    """(points, 3): places of the pen, in its own units, and whether it is up."""
    moves = [torch.zeros(1, 3)]
    scale = 0.8 + 0.4 * torch.rand((), generator=rng)
    for letter in text:
        path = GLYPHS[letter] + 0.3 * UNIT * torch.randn(GLYPHS[letter].shape, generator=rng)
        moves.append(F.pad(scale * path, (0, 1)))
        moves.append(torch.tensor([[2 * UNIT, 0.0, 1.0]]))
    trace = torch.cat(moves)
    return torch.cat([trace[:, :2].cumsum(0), trace[:, 2:]], 1)


def features(trace):
    return torch.cat([trace[:, :2].diff(dim=0) / UNIT, trace[1:, 2:]], 1)


def make_rows(count, rng):
    rows = []
    for _ in range(count):
        size = int(torch.randint(2, 5, (), generator=rng))
        text = "".join(LETTERS[k] for k in torch.randint(len(LETTERS), (size,), generator=rng))
        rows.append((features(write(text, rng)), text))
    return rows


def collate(rows, alphabet):
    labels = [alphabet.encode(text) for _, text in rows]
    return Ink(
        points=pad_sequence([points for points, _ in rows]),
        sizes=torch.tensor([len(points) for points, _ in rows]),
        labels=torch.tensor([k for one in labels for k in one]),
        label_sizes=torch.tensor([len(one) for one in labels]),
    )


class Reader(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv1d(3, SIZE, 5, padding=2), nn.Conv1d(SIZE, SIZE, 5, stride=2, padding=2)])
        self.norm = nn.LayerNorm(SIZE)
        self.drop = nn.Dropout(0.1)
        self.rnn = nn.GRU(SIZE, SIZE, bidirectional=True)
        self.head = nn.Linear(2 * SIZE, classes)

    def forward(self, points, sizes):
        x = points.permute(1, 2, 0)  # (batch, channels, time)
        for layer in self.layers:
            x = layer(x).relu()
            sizes = (sizes - 1) // layer.stride[0] + 1
            x = x * (torch.arange(x.shape[2]) < sizes[:, None])[:, None]
        x = x.permute(2, 0, 1)
        x = self.drop(self.norm(x))
        packed = pack_padded_sequence(x, sizes, enforce_sorted=False)
        x, _ = pad_packed_sequence(self.rnn(packed)[0])
        return self.head(x).log_softmax(-1), sizes


def loss(model, batch):
    scores, sizes = model(batch.points, batch.sizes)
    return F.ctc_loss(scores, batch.labels, sizes, batch.label_sizes)


@torch.no_grad()
def measure(run):
    """Share of words that are read without a mistake."""
    run.model.eval()
    found = []
    for batch in run.held_out:
        scores, sizes = run.model(batch.points, batch.sizes)
        for row, size in zip(scores.argmax(-1).T, sizes):
            found.append(run.vocabulary.decode([k for k in row[:size].unique_consecutive().tolist() if k != run.blank]))
    return sum(a == b for a, b in zip(found, run.held_out_texts)) / len(found)


def build(seed):
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed)
    rows, held_out = make_rows(640, rng), make_rows(64, rng)
    texts = [text for _, text in rows]
    alphabet = Alphabet(texts)
    model = Reader(len(alphabet))
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / WARM_UP))
    train = DataLoader(
        rows, BATCH, shuffle=True, drop_last=True, collate_fn=lambda rows: collate(rows, alphabet),
        generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip
    return SimpleNamespace(
        model=model, loss=loss, train=train, held_out=[collate(held_out, alphabet)], optimizer=optimizer,
        scheduler=scheduler, steps=STEPS, vocabulary=alphabet, texts=texts, blank=0,
        held_out_texts=[text for _, text in held_out], target=0.8, better="higher", history=[],
    )  # fmt: skip


def train(run, watch):
    step = 0
    while step < run.steps:
        for batch in run.train:
            run.model.train()
            value = watch.step(run.loss, batch)
            run.optimizer.zero_grad()
            value.backward()
            nn.utils.clip_grad_norm_(run.model.parameters(), 10.0)
            run.optimizer.step()
            run.scheduler.step()
            step += 1
            if step % EVALUATE == 0:
                run.history.append((step, measure(run)))
            if step == run.steps:
                return
