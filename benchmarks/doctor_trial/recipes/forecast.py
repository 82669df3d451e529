"""Forecasts the demand of a town from three hourly series: two layers of LSTM, squared error."""

import math
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader

BATCH = 32
STEPS = 400
EVALUATE = 20
LEARNING_RATE = 5e-3
HIDDEN, AHEAD = 32, 3
MEANS, DEVIATIONS = torch.tensor([15.0, 6.0, 400.0]), torch.tensor([6.0, 3.0, 90.0])


def make_row(rng):
    """Temperature, wind and demand of 24 to 40 hours, and the demand some hours later."""
    hours = int(torch.randint(24, 41, (), generator=rng))
    time = torch.arange(hours + AHEAD)
    period, phase = 10 + 6 * torch.rand((), generator=rng), 2 * math.pi * torch.rand((), generator=rng)
    day = torch.sin(2 * math.pi * time / period + phase)
    wind = (6 + 3 * torch.randn((), generator=rng) + 0.5 * torch.randn(time.shape, generator=rng)).clamp(min=0)
    temperature = 15 + 8 * day.roll(2) + 0.5 * torch.randn(time.shape, generator=rng)
    demand = 400 + 90 * day + 15 * (wind - 6) + 5 * torch.randn(time.shape, generator=rng)
    return torch.stack([temperature, wind, demand], 1)[:hours], float(demand[-1])


def collate(rows):
    hours = torch.tensor([len(series) for series, _ in rows])
    series = torch.zeros(len(rows), int(hours.max()), 3)
    for place, (one, _) in enumerate(rows):
        series[place, : len(one)] = (one - MEANS) / DEVIATIONS
    wanted = [(demand - 400) / 90 for _, demand in rows]
    return series, hours, torch.tensor(wanted)


class Forecaster(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, HIDDEN, num_layers=2, batch_first=True, dropout=0.1)
        self.middle = nn.Linear(HIDDEN, HIDDEN)
        self.head = nn.Linear(HIDDEN, 1)

    def forward(self, series, hours):
        states, _ = self.lstm(series)
        last = states[torch.arange(len(states)), hours - 1]
        return self.head(F.elu(self.middle(last))).squeeze(-1)


def loss(model, batch):
    series, hours, wanted = batch
    return F.mse_loss(model(series, hours), wanted)


@torch.no_grad()
def measure(run):
    """Share of the variance that is not explained."""
    run.model.eval()
    found = torch.cat([run.model(series, hours).flatten() for series, hours, _ in run.held_out])
    wanted = torch.cat([wanted for _, _, wanted in run.held_out])
    return float((found - wanted).square().mean() / wanted.var())


def build(seed):
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed)
    rows = [make_row(rng) for _ in range(1500)]
    held_out = [make_row(rng) for _ in range(150)]
    model = Forecaster()
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    train = DataLoader(
        rows, BATCH, shuffle=True, drop_last=True, collate_fn=collate, generator=torch.Generator().manual_seed(seed)
    )
    return SimpleNamespace(
        model=model, loss=loss, train=train, held_out=[collate(held_out[:75]), collate(held_out[75:])],
        optimizer=optimizer, scheduler=scheduler, steps=STEPS, vocabulary=None, texts=None, blank=None, target=0.1,
        better="lower", history=[],
    )  # fmt: skip


def train(run, watch):
    step = 0
    while step < run.steps:
        for batch in run.train:
            run.model.train()
            run.optimizer.zero_grad()
            value = watch.step(run.loss, batch)
            value.backward()
            nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)
            run.optimizer.step()
            run.scheduler.step()
            step += 1
            if step % EVALUATE == 0:
                run.history.append((step, measure(run)))
            if step == run.steps:
                return
