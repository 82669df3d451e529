"""A language model of characters: a transformer with a causal mask, over lines of a made-up language."""

import math
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader

BATCH, STEPS, WARM_UP, LEARNING_RATE, EVALUATE = 16, 300, 20, 4e-3, 15
SIZE, LONGEST, PAD, BEGIN, END = 48, 512, 0, 1, 2
SUBJECTS = ["Mira", "Tobias", "an owl", "the baker", "our aunt", "Rosa", "a judge", "King Lear"]
VERBS = ["paints", "buys", "forgets", "hides", "wants", "mends", "lifts", "drops"]
OBJECTS = ["a lamp", "six plums", "the kettle", "her diary", "old maps", "my violin", "two jars", "every fork"]


class Vocabulary:
    """Ids 0, 1 and 2 are padding, begin and end of a line."""

    def __init__(self, texts):
        characters = sorted(set("".join(texts)))
        self.ids = {character: k for k, character in enumerate(characters, 3)}
        self.characters = {k: character for character, k in self.ids.items()}

    def __len__(self):
        return len(self.ids) + 3

    def encode(self, text):
        return [self.ids[character] for character in text]

    def decode(self, ids):
        return "".join(self.characters[k] for k in ids if k not in (PAD, BEGIN, END))


def make_line(rng):
    a, b, c, later = torch.randint(8, (4,), generator=rng).tolist()
    return f"{SUBJECTS[a]} {VERBS[b]} {OBJECTS[c]}" + (" today" if later % 2 else "")


def collate(lines, vocabulary):
    rows = [torch.tensor([BEGIN, *vocabulary.encode(line), END]) for line in lines]
    return {
        "ids": pad_sequence(rows, batch_first=True, padding_value=PAD),
        "lengths": torch.tensor([len(row) for row in rows]),
    }


class LanguageModel(nn.Module):
    def __init__(self, characters):
        super().__init__()
        self.characters = nn.Embedding(characters, SIZE)
        self.places = nn.Embedding(LONGEST, SIZE)
        self.dropout = nn.Dropout(0.1)
        layer = nn.TransformerEncoderLayer(SIZE, 4, 96, dropout=0.1, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(SIZE)
        self.head = nn.Linear(SIZE, characters)

    def forward(self, ids):
        size = ids.shape[1]
        positions = torch.arange(size)
        x = self.dropout(self.characters(ids) + self.places(positions))
        causal = torch.triu(torch.full((size, size), float("-inf")), diagonal=1)
        x = self.layers(x, mask=causal)
        return self.head(self.norm(x))


def loss(model, batch):
    ids = batch["ids"]
    scores = model(ids[:, :-1])
    return F.cross_entropy(scores.flatten(0, 1), ids[:, 1:].flatten(), ignore_index=PAD)


@torch.no_grad()
def measure(run):
    """Bits per character."""
    run.model.eval()
    total = count = 0
    for batch in run.held_out:
        targets = batch["ids"][:, 1:]
        nats = F.cross_entropy(run.model(batch["ids"][:, :-1]).transpose(1, 2), targets, reduction="none")
        total += float(nats[targets != PAD].sum())
        count += int((targets != PAD).sum())
    return total / count / math.log(2)


def build(seed):
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed)
    lines = [make_line(rng) for _ in range(900)]
    kept = set(sorted(set(lines))[::12])
    texts, held_out = [line for line in lines if line not in kept], sorted(kept)
    vocabulary = Vocabulary(lines)
    model = LanguageModel(len(vocabulary))
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / WARM_UP) * max(0.05, 1 - step / STEPS)
    )
    train = DataLoader(
        texts, BATCH, shuffle=True, drop_last=True, collate_fn=lambda lines: collate(lines, vocabulary),
        generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip
    return SimpleNamespace(
        model=model, loss=loss, train=train, held_out=[collate(held_out, vocabulary)], optimizer=optimizer,
        scheduler=scheduler, steps=STEPS, vocabulary=vocabulary, texts=texts, blank=None,
        held_out_texts=held_out, target=0.8, better="lower", history=[],
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
