"""Beat tracker: marks the frames where a beat begins, in a drum recording that is made up here."""

import random
from types import SimpleNamespace
from typing import NamedTuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

cfg = SimpleNamespace(
    bands=12,
    rate=100,  # frames per second that go in; half as many come out
    width=20,
    dilations=(1, 2, 4, 8),
    dropout=0.1,
    longest_gap=6,
    pos_weight=8.0,
    batch_size=16,
    lr=4e-3,
    steps=180,
    log_every=20,
)

# how loud each drum is in each band
_drums = torch.Generator().manual_seed(11)
KICK = torch.rand(cfg.bands, generator=_drums) * torch.linspace(1.2, 0.4, cfg.bands)
OTHERS = 0.5 * KICK + 0.5 * torch.rand(3, cfg.bands, generator=_drums) * torch.linspace(0.4, 1.2, cfg.bands)


def record(rng, rate=cfg.rate):
    """One clip: spectrogram (bands, frames) in dB, and the frames where beats begin."""

    def uniform(low, high):
        return low + (high - low) * torch.rand((), generator=rng).item()

    seconds, period = uniform(1.2, 2.4), uniform(0.28, 0.45)
    beats = torch.arange(uniform(0.02, period), seconds - 0.08, period)
    beats = ((beats + 0.01 * torch.randn(beats.shape, generator=rng)).clamp(min=0) * rate).ceil().long()
    hits = [(when, KICK) for when in beats.tolist()]
    for _ in range(int(uniform(3, 9))):
        drum = OTHERS[torch.randint(len(OTHERS), (), generator=rng)]
        hits.append((int(uniform(0, seconds) * rate), drum))

    frame = torch.arange(int(seconds * rate))
    energy = 0.8 * torch.rand(cfg.bands, len(frame), generator=rng) + 0.02
    for when, drum in hits:
        envelope = torch.exp((when - frame) / (0.05 * rate)) * (frame >= when)
        energy += uniform(0.5, 1.3) * drum[:, None] * envelope
    return 20 * torch.log10(energy), beats


def normalise(spectrum):
    return (spectrum - spectrum.mean(1, keepdim=True)) / (spectrum.std(1, keepdim=True) + 1e-4)


class Clips(Dataset):
    def __init__(self, clips, augment=False):
        self.clips = [(normalise(spectrum), beats) for spectrum, beats in clips]
        self.augment = augment

    def __len__(self):
        return len(self.clips)

    def __getitem__(self, index):
        spectrum, beats = self.clips[index]
        if self.augment:  # a short gap, as when the connection is bad
            gap = random.randint(0, cfg.longest_gap)
            start = random.randint(0, max(0, spectrum.shape[1] - gap))
            spectrum = spectrum.clone()
            spectrum[:, start : start + gap] = 0
        return spectrum, beats


class Batch(NamedTuple):
    spectra: torch.Tensor  # (batch, bands, frames)
    lengths: torch.Tensor
    beats: torch.Tensor  # (batch, frames / 2), 1 where a beat begins


def collate(clips):
    spectra, beats = zip(*clips)
    lengths = torch.tensor([spectrum.shape[1] for spectrum in spectra])
    longest = int(lengths.max())
    padded = torch.stack([F.pad(spectrum, (0, longest - spectrum.shape[1])) for spectrum in spectra])
    labels = torch.zeros(len(clips), (longest + 1) // 2)
    for row, frames in zip(labels, beats):
        row[frames // 2] = 1.0
    return Batch(padded, lengths, labels)


def mask_for(lengths, size):
    return (torch.arange(size) < lengths.unsqueeze(1)).float()


class Block(nn.Module):
    def __init__(self, width, dilation):
        super().__init__()
        self.conv = nn.Conv1d(width, width, kernel_size=3, padding=dilation, dilation=dilation)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(cfg.dropout)

    def forward(self, x, mask):
        y = self.conv(x)
        y = self.norm(y.transpose(1, 2)).transpose(1, 2)
        y = self.dropout(F.gelu(y))
        return (x + y) * mask


class BeatTracker(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv1d(cfg.bands, cfg.width, kernel_size=5, stride=2, padding=2)
        self.blocks = nn.ModuleList([Block(cfg.width, dilation) for dilation in cfg.dilations])
        self.head = nn.Conv1d(cfg.width, 1, kernel_size=1)

    def forward(self, spectra, lengths):
        x = F.gelu(self.stem(spectra))
        lengths = (lengths + 1) // 2
        mask = mask_for(lengths, x.shape[2]).unsqueeze(1)
        x = x * mask
        for block in self.blocks:
            x = block(x, mask)
        logits = self.head(x).squeeze(1)
        return logits, lengths


def loss(model, batch):
    logits, lengths = model(batch.spectra, batch.lengths)
    mask = mask_for(lengths, logits.shape[1])
    bce = F.binary_cross_entropy_with_logits(
        logits, batch.beats, pos_weight=torch.tensor(cfg.pos_weight), reduction="none"
    )
    return (bce * mask).sum() / mask.sum()


@torch.no_grad()
def measure(run):
    """Average precision over all frames of the held-out clips."""
    run.model.eval()
    scores, truth = [], []
    for batch in run.held_out:
        logits, lengths = run.model(batch.spectra, batch.lengths)
        mask = mask_for(lengths, logits.shape[1]).bool()
        scores.append(logits[mask])
        truth.append(batch.beats[mask])
    order = torch.cat(scores).argsort(descending=True)
    hits = torch.cat(truth)[order]
    precision = hits.cumsum(0) / torch.arange(1, len(hits) + 1)
    run.model.train()
    return ((precision * hits).sum() / hits.sum()).item()


def build(seed):
    random.seed(seed)
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed)
    clips = [record(rng) for _ in range(410)]
    test_clips = [record(rng) for _ in range(48)]
    dataset, test_set = Clips(clips, augment=True), Clips(test_clips)
    loader = DataLoader(dataset, batch_size=cfg.batch_size, shuffle=True, drop_last=True, collate_fn=collate)
    test_loader = DataLoader(test_set, batch_size=24, collate_fn=collate)

    model = BeatTracker()
    optimizer = torch.optim.Adam(model.parameters(), lr=cfg.lr, betas=(0.9, 0.98))
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, total_iters=cfg.steps)
    return SimpleNamespace(
        model=model,
        loss=loss,
        train=loader,
        held_out=list(test_loader),
        optimizer=optimizer,
        scheduler=scheduler,
        steps=cfg.steps,
        vocabulary=None,
        texts=None,
        blank=None,
        target=0.85,
        better="higher",
        history=[],
    )


def forever(loader):
    while True:
        yield from loader


def train(run, watch):
    batches = forever(run.train)
    run.model.train()
    for step in range(1, run.steps + 1):
        batch = next(batches)
        value = watch.step(run.loss, batch)
        run.optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(run.model.parameters(), max_norm=2.0)
        run.optimizer.step()
        run.scheduler.step()
        if step % cfg.log_every == 0:
            run.history.append((step, measure(run)))
