"""Names pen strokes, made on the fly: differences of points, convolutions with a batch norm that leaves out padding."""

import math
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset

BATCH, STEPS, WARM_UP, LEARNING_RATE, EVALUATE = 32, 250, 10, 3e-3, 10
SIZE, CLASSES = 32, 8
MEAN, DEVIATION = torch.tensor([0.0, 0.0]), torch.tensor([220.0, 220.0])  # of the differences, in pen units


def draw(kind, rng):
    """(points, 2): a Lissajous curve of its kind, turned and scaled a little, in pen units."""
    size = int(torch.randint(24, 41, (), generator=rng))
    time = 2 * math.pi * torch.arange(size) / 32 + 0.2 * float(torch.rand((), generator=rng))
    a, b, phase = 1 + kind % 2, 1 + kind // 2 % 2, math.pi * (kind // 4) / 3
    points = torch.stack([torch.sin(a * time), torch.cos(b * time + phase)], 1)
    angle, scale = 0.3 * float(torch.randn((), generator=rng)), 800 + 400 * float(torch.rand((), generator=rng))
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return scale * points @ turn + 40 * torch.randn(points.shape, generator=rng)


class Strokes(Dataset):
    def __init__(self, count, seed):
        self.count, self.seed = count, seed

    def __len__(self):
        return self.count

    def __getitem__(self, place):
        rng = torch.Generator().manual_seed(self.seed * 100_003 + place)
        kind = int(torch.randint(CLASSES, (), generator=rng))
        return (draw(kind, rng).diff(dim=0) - MEAN) / DEVIATION, kind


def collate(rows):
    strokes, kinds = zip(*rows)
    lengths = torch.tensor([len(stroke) for stroke in strokes])
    return pad_sequence(strokes, batch_first=True), lengths, torch.tensor(kinds)


class MaskedNorm(nn.BatchNorm1d):
    """Statistics of the points of strokes, without padding."""

    def forward(self, x, valid):
        out = torch.zeros_like(x)
        out[valid] = super().forward(x[valid])
        return out


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.first_norm = nn.Conv1d(2, SIZE, 5, padding=2), MaskedNorm(SIZE)
        self.second, self.second_norm = nn.Conv1d(SIZE, SIZE, 5, padding=2), MaskedNorm(SIZE)
        self.hidden = nn.Linear(SIZE, SIZE)
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(SIZE, CLASSES)

    def forward(self, x, lengths):
        valid = torch.arange(x.shape[1])[None, :] < lengths[:, None]
        for layer, norm in ((self.first, self.first_norm), (self.second, self.second_norm)):
            x = F.relu(norm(layer(x.transpose(1, 2)).transpose(1, 2), valid))
            x = x * valid[:, :, None]
        x = x.sum(1) / lengths[:, None]
        x = self.dropout(F.relu(self.hidden(x)))
        return self.head(x)


def loss(model, batch):
    strokes, lengths, kinds = batch
    scores = model(strokes, lengths)
    return F.cross_entropy(scores, kinds)


@torch.no_grad()
def measure(run):
    """Share of strokes that are named right."""
    run.model.eval()
    right = total = 0
    for strokes, lengths, kinds in run.held_out:
        right += int((run.model(strokes, lengths).argmax(-1) == kinds).sum())
        total += len(kinds)
    return right / total


def build(seed):
    torch.manual_seed(seed)
    rows, held_out = Strokes(1024, 2 * seed), Strokes(160, 2 * seed + 1)
    model = Classifier()
    optimizer = torch.optim.SGD(model.parameters(), lr=30 * LEARNING_RATE, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / WARM_UP) * max(0.05, 1 - step / STEPS)
    )
    train = DataLoader(
        rows, BATCH, shuffle=True, drop_last=True, collate_fn=collate, generator=torch.Generator().manual_seed(seed)
    )
    return SimpleNamespace(
        model=model, loss=loss, train=train,
        held_out=[collate([held_out[place] for place in range(len(held_out))])], optimizer=optimizer,
        scheduler=scheduler, steps=STEPS, vocabulary=None, texts=None, blank=None, target=0.9, better="higher",
        history=[],
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
