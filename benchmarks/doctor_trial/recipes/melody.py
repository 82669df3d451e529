"""Goes on with melodies in letters (c is an octave above C): a causal transformer, written out; label smoothing."""

from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader

NOTES = "CDEFGABcdefgab"
SHAPES = [(0, a, b, c) for a in (0, 2, 4) for b in (1, 3, 5) for c in (0, 2, 4)]
PAD, BEGIN, END = 0, 1, 2
BATCH = 16
STEPS = 600
WARM_UP = 40
EVALUATE = 20
LEARNING_RATE = 6e-3
SIZE, HEADS, LONGEST = 48, 4, 512


class Notes:
    def __init__(self, melodies):
        self.names = sorted(set("".join(melodies)))

    def encode(self, melody):
        return [3 + self.names.index(note) for note in melody]

    def decode(self, ids):
        return "".join(self.names[k - 3] for k in ids if k > END)


def compose(rng):
    """A shape of four notes, each time a step higher or lower, and its first note at the end."""
    shape, start, up, more = (int(torch.randint(size, (), generator=rng)) for size in (len(SHAPES), 9, 2, 2))
    degrees = []
    for bar in range(3 + more):
        degrees += [(start + (bar if up else -bar) + step) % 14 for step in SHAPES[shape]]
    return "".join(NOTES[degree] for degree in [*degrees, degrees[0]])


def collate(melodies, notes):
    return pad_sequence([torch.tensor([BEGIN, *notes.encode(melody), END]) for melody in melodies], True, PAD)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention_norm, self.norm = nn.LayerNorm(SIZE), nn.LayerNorm(SIZE)
        self.all_three = nn.Linear(SIZE, 3 * SIZE)
        self.out = nn.Linear(SIZE, SIZE)
        self.wide, self.narrow = nn.Linear(SIZE, 3 * SIZE), nn.Linear(3 * SIZE, SIZE)
        self.dropout = nn.Dropout(0.1)

    def attend(self, x):
        parts = self.all_three(x).chunk(3, -1)
        query, key, value = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in parts)
        seen = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.out(seen.transpose(1, 2).flatten(2))

    def forward(self, x):
        x = x + self.dropout(self.attend(self.attention_norm(x)))
        return x + self.dropout(self.narrow(F.gelu(self.wide(self.norm(x)))))


class Composer(nn.Module):
    def __init__(self, notes):
        super().__init__()
        self.notes = nn.Embedding(notes, SIZE)
        self.places = nn.Parameter(0.02 * torch.randn(LONGEST, SIZE))
        self.blocks = nn.ModuleList(Block() for _ in range(2))
        self.norm = nn.LayerNorm(SIZE)
        self.head = nn.Linear(SIZE, notes)

    def forward(self, ids):
        x = self.notes(ids) + self.places[: ids.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def loss(model, ids):
    scores = model(ids[:, :-1])
    wanted = ids[:, 1:]
    return F.cross_entropy(scores.flatten(0, 1), wanted.flatten(), ignore_index=PAD, label_smoothing=0.05)


@torch.no_grad()
def measure(run):
    """Share of notes from the second bar on that are foreseen."""
    run.model.eval()
    right = total = 0
    for ids in run.held_out:
        found, wanted = run.model(ids[:, :-1]).argmax(-1)[:, 5:], ids[:, 6:]
        right += int((found == wanted)[wanted != PAD].sum())
        total += int((wanted != PAD).sum())
    return right / total


def build(seed):
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed)
    melodies = [compose(rng) for _ in range(1000)]
    kept = set(sorted(set(melodies))[::10])
    texts, held_out = [melody for melody in melodies if melody not in kept], sorted(kept)
    notes = Notes(melodies)
    model = Composer(len(notes.names) + 3)
    weights = [weight for weight in model.parameters() if weight.dim() > 1]
    others = [weight for weight in model.parameters() if weight.dim() == 1]
    optimizer = torch.optim.AdamW([{"params": weights}, {"params": others, "weight_decay": 0.0}], lr=LEARNING_RATE)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / WARM_UP, (WARM_UP / (step + 1)) ** 0.5)
    )
    train = DataLoader(
        texts, BATCH, shuffle=True, drop_last=True, collate_fn=lambda melodies: collate(melodies, notes),
        generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip
    return SimpleNamespace(
        model=model, loss=loss, train=train, held_out=[collate(held_out, notes)], optimizer=optimizer,
        scheduler=scheduler, steps=STEPS, vocabulary=notes, texts=texts, blank=None, held_out_texts=held_out,
        target=0.75, better="higher", history=[],
    )  # fmt: skip


def train(run, watch):
    step = 0
    while step < run.steps:
        for batch in run.train:
            run.model.train()
            value = watch.step(run.loss, batch)
            run.optimizer.zero_grad()
            value.backward()
            nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)
            run.optimizer.step()
            run.scheduler.step()
            step += 1
            if step % EVALUATE == 0:
                run.history.append((step, measure(run)))
            if step == run.steps:
                return
