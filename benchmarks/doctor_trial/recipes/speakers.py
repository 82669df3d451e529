"""Tells whether two utterances have one speaker: convolutions, attention pooling, a contrastive loss of pairs."""

from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset

BATCH, STEPS, WARM_UP, LEARNING_RATE, EVALUATE = 32, 250, 20, 2e-3, 10
BANDS, SIZE, MARGIN, SPEAKERS = 16, 32, 1.0, 40
MAKER = torch.Generator().manual_seed(3)
VOICES, SOUNDS = torch.randn(5, BANDS, generator=MAKER), 4 * torch.randn(8, BANDS, generator=MAKER)


class Speaker:
    def __init__(self, rng):
        self.envelope = torch.randn(5, generator=rng) @ VOICES / 2

    def speak(self, rng):
        """(frames, bands): sounds that all speakers share, each with the envelope of this one."""
        sounds = torch.randint(len(SOUNDS), (int(torch.randint(4, 9, (), generator=rng)),), generator=rng)
        frames = SOUNDS[sounds.repeat_interleave(4)] + self.envelope
        return frames + 1.0 * torch.randn(frames.shape, generator=rng)


class Pairs(Dataset):
    def __init__(self, speakers, count, rng):
        self.rows = []
        for place in range(count):
            first, second = torch.randperm(len(speakers), generator=rng)[:2].tolist()
            same = place % 2
            other = speakers[first if same else second]
            self.rows.append((speakers[first].speak(rng), other.speak(rng), float(same)))

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, place):
        return self.rows[place]


def collate(rows):
    first, second, same = zip(*rows)
    return {
        "first": pad_sequence(first, batch_first=True),
        "first_lengths": torch.tensor([len(one) for one in first]),
        "second": pad_sequence(second, batch_first=True),
        "second_lengths": torch.tensor([len(one) for one in second]),
        "same": torch.tensor(same),
    }


class Embedder(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv1d(BANDS, SIZE, 3, padding=1)
        self.second = nn.Conv1d(SIZE, SIZE, 3, padding=1)
        self.attention = nn.Linear(SIZE, 1)
        self.dropout = nn.Dropout(0.1)
        self.head = nn.Linear(SIZE, 16)

    def embed(self, x, lengths):
        valid = (torch.arange(x.shape[1])[None, :] < lengths[:, None])[:, :, None]
        for layer in (self.first, self.second):
            x = F.relu(layer(x.transpose(1, 2)).transpose(1, 2)) * valid
        weights = self.attention(x).masked_fill(~valid, -1e9).softmax(1)
        return F.normalize(self.head(self.dropout((weights * x).sum(1))), dim=-1)

    def forward(self, first, first_lengths, second, second_lengths):
        return self.embed(first, first_lengths), self.embed(second, second_lengths)


def loss(model, batch):
    one, other = model(batch["first"], batch["first_lengths"], batch["second"], batch["second_lengths"])
    distances = (one - other).square().sum(-1).add(1e-6).sqrt()
    same = batch["same"]
    near = same * distances.square()
    far = (1 - same) * F.relu(MARGIN - distances).square()
    return (near + far).mean()


@torch.no_grad()
def measure(run):
    """Share of a pair of one speaker and a pair of two that are in the right order."""
    run.model.eval()
    likeness, same = [], []
    for batch in run.held_out:
        one, other = run.model(batch["first"], batch["first_lengths"], batch["second"], batch["second_lengths"])
        likeness.append((one * other).sum(-1))
        same.append(batch["same"] > 0)
    likeness, same = torch.cat(likeness), torch.cat(same)
    return float((likeness[same][:, None] > likeness[~same][None, :]).float().mean())


def build(seed):
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed)
    speakers = [Speaker(rng) for _ in range(SPEAKERS + 20)]
    rows, held_out = Pairs(speakers[:SPEAKERS], 1600, rng), Pairs(speakers[SPEAKERS:], 200, rng)
    model = Embedder()
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / WARM_UP))
    train = DataLoader(
        rows, BATCH, shuffle=True, drop_last=True, collate_fn=collate, generator=torch.Generator().manual_seed(seed)
    )
    return SimpleNamespace(
        model=model, loss=loss, train=train, held_out=[collate(held_out)], optimizer=optimizer,
        scheduler=scheduler, steps=STEPS, vocabulary=None, texts=None, blank=None, target=0.92, better="higher",
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
