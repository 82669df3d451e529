"""A variational autoencoder of curves: a GRU reads a curve, its latent vector and a clock draw it again."""

import math
from dataclasses import dataclass
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence
from torch.utils.data import DataLoader

BATCH, STEPS, WARM_UP, LEARNING_RATE, EVALUATE = 32, 420, 20, 4e-3, 20
LATENT, SIZE, KL_WEIGHT = 8, 48, 1e-3
MEAN, DEVIATION = 20.0, 6.0  # of the raw curves


@dataclass
class Batch:
    curves: Tensor  # (batch, time, 2)
    lengths: Tensor


def make_curve(rng):
    """Two coordinates, each a wave around its own centre, in centimetres."""
    size = int(torch.randint(20, 33, (), generator=rng))
    time = torch.arange(size)[:, None] / 32
    centre, height, phase = (torch.rand(2, generator=rng) for _ in range(3))
    curve = 2 * centre - 1 + (0.5 + height) * torch.sin(2 * math.pi * (time + phase))
    return MEAN + DEVIATION * (curve + 0.05 * torch.randn(curve.shape, generator=rng))


def collate(curves):
    scaled = [(curve - MEAN) / DEVIATION for curve in curves]
    return Batch(pad_sequence(scaled, batch_first=True), torch.tensor([len(curve) for curve in curves]))


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.GRU(2, SIZE, batch_first=True)
        self.latent = nn.Linear(SIZE, 2 * LATENT)
        self.spread = nn.Linear(LATENT, SIZE)
        self.clock = nn.Linear(3, SIZE)
        self.decoder = nn.Sequential(nn.ReLU(), nn.Linear(SIZE, SIZE), nn.ReLU(), nn.Linear(SIZE, 2))

    def encode(self, curves, lengths):
        packed = pack_padded_sequence(curves, lengths, batch_first=True, enforce_sorted=False)
        _, last = self.encoder(packed)
        return self.latent(last[0]).chunk(2, -1)

    def forward(self, curves, lengths):
        mean, log_variance = self.encode(curves, lengths)
        latent = mean
        if self.training:
            latent = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        time = torch.arange(curves.shape[1])[:, None] / 32
        clock = torch.cat([time, torch.sin(6.28 * time), torch.cos(6.28 * time)], 1)
        drawn = self.decoder(self.spread(latent)[:, None] + self.clock(clock)[None])
        return drawn, mean, log_variance


def loss(model, batch):
    drawn, mean, log_variance = model(batch.curves, batch.lengths)
    valid = torch.arange(drawn.shape[1])[None, :] < batch.lengths[:, None]
    errors = F.mse_loss(drawn, batch.curves, reduction="none").sum(-1)
    error = (errors * valid).sum() / valid.sum()
    divergence = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum(-1)
    return error + KL_WEIGHT * divergence.mean()


@torch.no_grad()
def measure(run):
    """Share of the variance that is not drawn."""
    run.model.eval()
    error = total = 0.0
    for batch in run.held_out:
        drawn = run.model(batch.curves, batch.lengths)[0]
        for row, length in enumerate(batch.lengths.tolist()):
            error += float((drawn[row, :length] - batch.curves[row, :length]).square().sum())
            total += float(batch.curves[row, :length].square().sum())
    return error / total


def build(seed):
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed)
    rows, held_out = ([make_curve(rng) for _ in range(count)] for count in (1000, 100))
    model = Autoencoder()
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / WARM_UP))
    train = DataLoader(
        rows, BATCH, shuffle=True, drop_last=True, collate_fn=collate, generator=torch.Generator().manual_seed(seed)
    )
    return SimpleNamespace(
        model=model, loss=loss, train=train, held_out=[collate(held_out)], optimizer=optimizer,
        scheduler=scheduler, steps=STEPS, vocabulary=None, texts=None, blank=None, target=0.2, better="lower",
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
