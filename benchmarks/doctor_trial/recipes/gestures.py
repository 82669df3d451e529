"""Names gestures from six sensors at the wrist: convolutions and batch norm over true frames, and their mean."""

import math
from itertools import pairwise
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader

BATCH = 24
STEPS = 320
EVALUATE = 20
LEARNING_RATE = 0.05
SENSORS, SIZE, KINDS = 6, 32, 7
MAKER = torch.Generator().manual_seed(5)
SPEEDS, SWINGS = 0.2 + 0.9 * torch.rand(KINDS, SENSORS, generator=MAKER), torch.rand(KINDS, SENSORS, generator=MAKER)


def record(kind, rng):
    """(frames, sensors), in units of the sensors, which rest far from zero."""
    frames = int(torch.randint(18, 37, (), generator=rng))
    time = torch.arange(frames)[:, None] * (0.85 + 0.3 * torch.rand((), generator=rng))
    phases = 2 * math.pi * torch.rand(SENSORS, generator=rng)
    movement = (0.3 + SWINGS[kind]) * torch.sin(SPEEDS[kind] * time + phases)
    return 512 + 100 * (movement + 0.3 * torch.randn(movement.shape, generator=rng))


def prepare(frames):
    """Each sensor with mean 0 and deviation 1."""
    return (frames - frames.mean(0)) / frames.std(0)


def make_rows(count, rng):
    kinds = torch.randint(KINDS, (count,), generator=rng).tolist()
    return [(record(kind, rng), kind) for kind in kinds]


def collate(rows):
    frames = [prepare(one) for one, _ in rows]
    labels = [kind for _, kind in rows]
    sizes = torch.tensor([len(one) for one in frames])
    return (pad_sequence(frames, batch_first=True), sizes), torch.tensor(labels)


class Namer(nn.Module):
    def __init__(self):
        super().__init__()
        sizes = [SENSORS, SIZE, SIZE, SIZE]
        self.convolutions = nn.ModuleList(nn.Conv1d(a, b, 3, padding=1) for a, b in pairwise(sizes))
        self.norms = nn.ModuleList(nn.BatchNorm1d(SIZE) for _ in self.convolutions)
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(SIZE, KINDS)

    def forward(self, frames, sizes):
        valid = torch.arange(frames.shape[1]).expand(len(frames), -1) < sizes[:, None]
        x = frames
        if self.training:
            x = x * (torch.rand(x.shape[:2]) > 0.1)[:, :, None]  # frames that are lost
        for convolve, norm in zip(self.convolutions, self.norms):
            y = convolve(x.transpose(1, 2)).transpose(1, 2)
            x = torch.zeros_like(y)
            x[valid] = F.relu(norm(y[valid]))
        share = valid / valid.sum(1, keepdim=True)
        x = (share[:, :, None] * x).sum(1)
        return self.head(self.dropout(x))


def loss(model, batch):
    (frames, sizes), labels = batch
    return F.cross_entropy(model(frames, sizes), labels)


@torch.no_grad()
def measure(run):
    """Share of gestures that are named right."""
    run.model.eval()
    right = total = 0
    for (frames, sizes), labels in run.held_out:
        right += int((run.model(frames, sizes).argmax(-1) == labels).sum())
        total += len(labels)
    return right / total


def build(seed):
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed)
    rows, held_out = make_rows(960, rng), make_rows(160, rng)
    model = Namer()
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=0.9, nesterov=True)
    train = DataLoader(
        rows, batch_size=BATCH, shuffle=True, drop_last=True, collate_fn=collate,
        generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip
    return SimpleNamespace(
        model=model, loss=loss, train=train, held_out=[collate(held_out)], optimizer=optimizer, scheduler=None,
        steps=STEPS, vocabulary=None, texts=None, blank=None, target=0.9, better="higher", history=[],
    )  # fmt: skip


def train(run, watch):
    step = 0
    while step < run.steps:
        for batch in run.train:
            run.model.train()
            run.optimizer.zero_grad()
            value = watch.step(run.loss, batch)
            value.backward()
            run.optimizer.step()
            step += 1
            if step % EVALUATE == 0:
                run.history.append((step, measure(run)))
            if step == run.steps:
                return
