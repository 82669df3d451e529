"""Recognises spoken digits, each a pair of tones: spectra, strided convolutions, a GRU, CTC."""

import math
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torch.utils.data import DataLoader

RATE, WINDOW, HOP = 8000, 128, 80
BATCH, STEPS, WARM_UP, LEARNING_RATE, EVALUATE = 16, 200, 20, 3e-3, 10
NAMES = "0123456789"
TONES = [(500 + 250 * (k % 5), 1900 + 350 * (k // 2)) for k in range(10)]


class Vocabulary:
    """Class 0 is the blank."""

    def __init__(self, texts):
        self.symbols = ["-"] + sorted(set("".join(texts)))
        self.ids = {symbol: k for k, symbol in enumerate(self.symbols)}

    def encode(self, text):
        return [self.ids[digit] for digit in text]

    def decode(self, ids):
        return "".join(self.symbols[k] for k in ids)


def speak(text, rng):
    parts = []
    for digit in text:
        low, high = TONES[int(digit)]
        size = int(torch.randint(960, 1440, (), generator=rng))
        time = torch.arange(size) / RATE
        tone = torch.sin(2 * math.pi * low * time) + torch.sin(2 * math.pi * high * time)
        parts += [tone * torch.hann_window(size), torch.zeros(int(torch.randint(160, 400, (), generator=rng)))]
    wave = torch.cat(parts)
    return wave + 0.1 * torch.randn(wave.shape, generator=rng)


def features(wave):
    """(frames, 32), each band of a clip with mean 0 and deviation 1."""
    spectrum = torch.stft(wave, WINDOW, HOP, window=torch.hann_window(WINDOW), return_complex=True, center=False).abs()
    x = (spectrum[:64].reshape(32, 2, -1).mean(1) + 1e-3).log().T
    return (x - x.mean(0)) / x.std(0)


def make_text(rng):
    size = int(torch.randint(3, 6, (), generator=rng))
    return "".join(NAMES[k] for k in torch.randint(10, (size,), generator=rng))


def make_rows(count, rng):
    texts = [make_text(rng) for _ in range(count)]
    return [(features(speak(text, rng)), text) for text in texts]


def collate(rows, vocabulary):
    clips, texts = zip(*rows)
    ids = [torch.tensor(vocabulary.encode(text)) for text in texts]
    return {
        "features": pad_sequence(clips, batch_first=True),
        "lengths": torch.tensor([len(clip) for clip in clips]),
        "targets": torch.cat(ids),
        "target_lengths": torch.tensor([len(one) for one in ids]),
    }


def mask_frames(x, lengths):
    return x * (torch.arange(x.shape[1])[None, :] < lengths[:, None])[:, :, None]


class Recogniser(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.first = nn.Conv1d(32, 48, 3, stride=2, padding=1)
        self.second = nn.Conv1d(48, 48, 3, stride=2, padding=1)
        self.norm = nn.LayerNorm(48)
        self.recurrent = nn.GRU(48, 48, bidirectional=True, batch_first=True)
        self.head = nn.Linear(96, classes)

    def augment(self, x, lengths):
        """Mask up to 8 frames of each clip."""
        for row, length in enumerate(lengths.tolist()):
            size = int(torch.randint(0, 8, ()))
            start = int(torch.randint(0, max(1, length - size), ()))
            x[row, start : start + size] = 0
        return x

    def forward(self, x, lengths):
        if self.training:
            x = self.augment(x.clone(), lengths)
        for layer in (self.first, self.second):
            x = F.relu(layer(x.transpose(1, 2)).transpose(1, 2))
            lengths = (lengths + 1) // 2
            x = mask_frames(x, lengths)
        x = self.norm(x)
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        x, _ = pad_packed_sequence(self.recurrent(packed)[0], batch_first=True)
        return self.head(x), lengths


def loss(model, batch):
    scores, lengths = model(batch["features"], batch["lengths"])
    scores = scores.log_softmax(-1).transpose(0, 1)
    return F.ctc_loss(scores, batch["targets"], lengths, batch["target_lengths"], blank=0)


@torch.no_grad()
def measure(run):
    """Share of clips with all digits right."""
    run.model.eval()
    found = []
    for batch in run.held_out:
        scores, lengths = run.model(batch["features"], batch["lengths"])
        for row, length in zip(scores.argmax(-1), lengths):
            ids = torch.unique_consecutive(row[:length]).tolist()
            found.append(run.vocabulary.decode([k for k in ids if k != run.blank]))
    return sum(a == b for a, b in zip(found, run.held_out_texts)) / len(found)


def build(seed):
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed)
    rows, held_out = make_rows(640, rng), make_rows(64, rng)
    texts = [text for _, text in rows]
    vocabulary = Vocabulary(texts)
    model = Recogniser(len(vocabulary.symbols))
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / WARM_UP))
    train = DataLoader(
        rows, BATCH, shuffle=True, drop_last=True, collate_fn=lambda rows: collate(rows, vocabulary),
        generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip
    return SimpleNamespace(
        model=model, loss=loss, train=train, held_out=[collate(held_out, vocabulary)], optimizer=optimizer,
        scheduler=scheduler, steps=STEPS, vocabulary=vocabulary, texts=texts, blank=0,
        held_out_texts=[text for _, text in held_out], target=0.8, better="higher", history=[],
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
