"""Writes numbers in words: a GRU reads the digits, another writes words with additive attention; teacher forcing."""

from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torch.utils.data import DataLoader, Dataset

PAD, BEGIN, END, UNKNOWN = range(4)
BATCH = 32
STEPS = 400
EVALUATE = 20
LEARNING_RATE = 8e-3
SIZE, LONGEST = 48, 14
ONES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
ONES += ["thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def spell(number):
    if number < 20:
        return ONES[number]
    if number < 100:
        return TENS[number // 10 - 2] + (f" {ONES[number % 10]}" if number % 10 else "")
    unit, name = (1000, "thousand") if number >= 1000 else (100, "hundred")
    return f"{spell(number // unit)} {name}" + (f" {spell(number % unit)}" if number % unit else "")


class Vocabulary:
    def __init__(self, texts):
        words = sorted({word for text in texts for word in text.split()})
        self.ids = {word: k for k, word in enumerate(words, 4)}
        self.words = {k: word for word, k in self.ids.items()}

    def __len__(self):
        return len(self.ids) + 4

    def encode(self, text):
        return [self.ids.get(word, UNKNOWN) for word in text.split()]

    def decode(self, ids):
        return " ".join(self.words.get(k, "?") for k in ids if k not in (PAD, BEGIN, END))


class Numbers(Dataset):
    def __init__(self, numbers):
        self.rows = [(str(number), spell(number).capitalize()) for number in numbers]

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, place):
        return self.rows[place]


def collate(rows, vocabulary):
    digits = [torch.tensor([int(digit) for digit in number]) for number, _ in rows]
    ids = [vocabulary.encode(text) for _, text in rows]
    return {
        "digits": pad_sequence(digits, batch_first=True),
        "digit_counts": torch.tensor([len(one) for one in digits]),
        "given": pad_sequence([torch.tensor([BEGIN, *one]) for one in ids], batch_first=True, padding_value=PAD),
        "wanted": pad_sequence([torch.tensor([*one, END]) for one in ids], batch_first=True, padding_value=PAD),
    }


class Translator(nn.Module):
    def __init__(self, words):
        super().__init__()
        self.digits = nn.Embedding(10, SIZE)
        self.encoder = nn.GRU(SIZE, SIZE, bidirectional=True, batch_first=True)
        self.bridge = nn.Linear(2 * SIZE, SIZE)
        self.words = nn.Embedding(words, SIZE, padding_idx=PAD)
        self.decoder = nn.GRU(SIZE, SIZE, batch_first=True)
        self.query, self.key = nn.Linear(SIZE, SIZE), nn.Linear(2 * SIZE, SIZE, bias=False)
        self.energy = nn.Linear(SIZE, 1, bias=False)
        self.join = nn.Linear(3 * SIZE, SIZE)
        self.head = nn.Linear(SIZE, words)

    def encode(self, digits, counts):
        packed = pack_padded_sequence(self.digits(digits), counts, batch_first=True, enforce_sorted=False)
        states, last = self.encoder(packed)
        memory, _ = pad_packed_sequence(states, batch_first=True)
        return memory, torch.tanh(self.bridge(torch.cat([last[0], last[1]], -1)))[None]

    def attend(self, x, memory, counts):
        energies = self.energy(torch.tanh(self.query(x)[:, :, None] + self.key(memory)[:, None]))[..., 0]
        outside = torch.arange(memory.shape[1]) >= counts[:, None]
        weights = energies.masked_fill(outside[:, None], float("-inf")).softmax(-1)
        return weights @ memory

    def forward(self, digits, digit_counts, given):
        memory, state = self.encode(digits, digit_counts)
        x = F.dropout(self.words(given), 0.1, self.training)
        x, _ = self.decoder(x, state)
        context = self.attend(x, memory, digit_counts)
        x = self.join(torch.cat([x, context], -1))
        x = torch.tanh(x)
        return self.head(x)


def loss(model, batch):
    scores = model(batch["digits"], batch["digit_counts"], batch["given"])
    return F.cross_entropy(scores.transpose(1, 2), batch["wanted"], ignore_index=PAD)


@torch.no_grad()
def measure(run):
    """Share of numbers that are written without a mistake, word by word from the model's own words."""
    run.model.eval()
    found = []
    for batch in run.held_out:
        written = torch.full((len(batch["digits"]), 1), BEGIN)
        for _ in range(LONGEST):
            following = run.model(batch["digits"], batch["digit_counts"], written)[:, -1:].argmax(-1)
            written = torch.cat([written, following], 1)
        for ids in written.tolist():
            found.append(run.vocabulary.decode(ids[: ids.index(END)] if END in ids else ids))
    return sum(a == b for a, b in zip(found, run.held_out_texts)) / len(found)


def build(seed):
    torch.manual_seed(seed)
    order = torch.randperm(100_000, generator=torch.Generator().manual_seed(seed))[:5000].tolist()
    numbers = list(dict.fromkeys(number % 10 ** (3 + k % 3) for k, number in enumerate(order)))
    rows, held_out = Numbers(numbers[:3000]), Numbers(numbers[3000:3100])
    texts = [text for _, text in rows.rows]
    vocabulary = Vocabulary(texts)
    model = Translator(len(vocabulary))
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=STEPS, pct_start=0.1)
    train = DataLoader(
        rows, batch_size=BATCH, shuffle=True, drop_last=True, collate_fn=lambda rows: collate(rows, vocabulary),
        generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip
    return SimpleNamespace(
        model=model, loss=loss, train=train, held_out=[collate(held_out.rows, vocabulary)], optimizer=optimizer,
        scheduler=scheduler, steps=STEPS, vocabulary=vocabulary, texts=texts, blank=None,
        held_out_texts=[text for _, text in held_out.rows], target=0.7, better="higher", history=[],
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
