"""Finds the German line of a recipe for an English one: two towers, masked mean pooling, InfoNCE within the batch."""

from types import SimpleNamespace

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader

EMBED_DIM = 48
NUM_HEADS = 4
MAX_LENGTH = 32
TEMPERATURE = 0.1
TRAIN_BATCH_SIZE = 32
MAX_STEPS = 240
WARMUP_STEPS = 30
EVAL_STEPS = 20
LEARNING_RATE = 3e-3

AMOUNTS = [("½", "½"), ("¼", "¼"), ("two", "zwei"), ("three", "drei"), ("four", "vier"), ("six", "sechs")]
UNITS = [("cups", "Tassen"), ("spoons", "Löffel"), ("bags", "Beutel"), ("bowls", "Schalen"), ("glasses", "Gläser")]
KINDS = [("fresh", "frische"), ("warm", "warme"), ("cold", "kalte"), ("Swiss", "Schweizer"), ("sweet", "süße")]
GOODS = [("milk", "Milch"), ("cream", "Sahne"), ("cherries", "Kirschen"), ("butter", "Butter"), ("oats", "Hafer"),
         ("beans", "Bohnen"), ("carrots", "Möhren"), ("walnuts", "Walnüsse")]  # fmt: skip
VERBS = [("stir", "rühren"), ("add", "zugeben"), ("boil", "kochen"), ("mash", "zerdrücken"), ("weigh", "wiegen")]
MANNERS = [("slowly", "langsam"), ("at once", "sofort"), ("with care", "mit Vorsicht"), ("again", "noch einmal")]


class WordTokenizer:
    pad_token_id = 0
    unk_token_id = 1

    def __init__(self, lines):
        words = sorted({word for line in lines for word in line.split()})
        self.vocab = {"[PAD]": 0, "[UNK]": 1}
        self.vocab.update({word: index + 2 for index, word in enumerate(words)})
        self.inverse = {index: word for word, index in self.vocab.items()}

    def __len__(self):
        return max(self.vocab.values()) + 1

    def encode(self, line):
        return [self.vocab.get(word, self.unk_token_id) for word in line.split()]

    def decode(self, ids):
        return " ".join(self.inverse[index] for index in ids if index != self.pad_token_id)

    def __call__(self, lines):
        ids = [self.encode(line) for line in lines]
        longest = max(map(len, ids))
        return {
            "input_ids": torch.tensor([one + [self.pad_token_id] * (longest - len(one)) for one in ids]),
            "attention_mask": torch.tensor([[1] * len(one) + [0] * (longest - len(one)) for one in ids]),
        }


def write_pair(rng):
    """One instruction in both languages; the kind and the manner are left out at times."""

    def pick(pairs, share=1.0):
        if float(torch.rand((), generator=rng)) >= share:
            return "", ""
        return pairs[int(torch.randint(len(pairs), (), generator=rng))]

    amount, unit, kind, good = pick(AMOUNTS), pick(UNITS), pick(KINDS, 0.6), pick(GOODS)
    verb, manner = pick(VERBS), pick(MANNERS, 0.5)
    english = f"{verb[0]} {amount[0]} {unit[0]} of {kind[0]} {good[0]} {manner[0]}"
    german = f"{amount[1]} {unit[1]} {kind[1]} {good[1]} {manner[1]} {verb[1]}"
    return " ".join(english.split()), " ".join(german.split())


def collate(pairs, tokenizer):
    english = [pair[0] for pair in pairs]
    german = [pair[1] for pair in pairs]
    return {"english": tokenizer(english), "german": tokenizer(german)}


class Tower(nn.Module):
    def __init__(self, vocab_size):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, EMBED_DIM, padding_idx=0)
        self.position = nn.Embedding(MAX_LENGTH, EMBED_DIM)
        self.norm = nn.LayerNorm(EMBED_DIM)
        self.dropout = nn.Dropout(0.1)
        self.layer = nn.TransformerEncoderLayer(EMBED_DIM, NUM_HEADS, 96, dropout=0.0, batch_first=True)
        self.projection = nn.Linear(EMBED_DIM, EMBED_DIM)

    def forward(self, input_ids, attention_mask):
        positions = torch.arange(input_ids.shape[1])
        x = self.embedding(input_ids) + self.position(positions)
        x = self.dropout(self.norm(x))
        x = self.layer(x, src_key_padding_mask=attention_mask == 0)
        mask = attention_mask.unsqueeze(-1).float()
        pooled = (x * mask).sum(dim=1) / mask.sum(dim=1)
        return F.normalize(self.projection(pooled), dim=-1)


class TwoTowers(nn.Module):
    def __init__(self, vocab_size):
        super().__init__()
        self.english = Tower(vocab_size)
        self.german = Tower(vocab_size)

    def forward(self, english, german):
        return self.english(**english), self.german(**german)


def loss(model, batch):
    english, german = model(batch["english"], batch["german"])
    logits = english @ german.T / TEMPERATURE
    labels = torch.arange(len(logits))
    return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2


@torch.no_grad()
def measure(run):
    """Share of held-out lines, of both languages, whose nearest neighbour is their translation."""
    run.model.eval()
    outputs = [run.model(batch["english"], batch["german"]) for batch in run.held_out]
    english = torch.cat([output[0] for output in outputs])
    german = torch.cat([output[1] for output in outputs])
    similarity = english @ german.T
    wanted = torch.arange(len(similarity))
    hits = (similarity.argmax(1) == wanted).float().mean() + (similarity.argmax(0) == wanted).float().mean()
    return float(hits) / 2


def get_linear_schedule(optimizer, warmup_steps, training_steps):
    def factor(step):
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        return max(0.0, (training_steps - step) / (training_steps - warmup_steps))

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def build(seed):
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(77 * seed + 5)
    pairs = list(dict.fromkeys(write_pair(rng) for _ in range(3200)))
    eval_pairs, train_pairs = pairs[:128], pairs[128:]
    texts = [line for pair in train_pairs for line in pair]
    tokenizer = WordTokenizer(texts)
    model = TwoTowers(len(tokenizer))
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    scheduler = get_linear_schedule(optimizer, WARMUP_STEPS, MAX_STEPS)
    train_loader = DataLoader(
        train_pairs, batch_size=TRAIN_BATCH_SIZE, shuffle=True, drop_last=True,
        collate_fn=lambda pairs: collate(pairs, tokenizer), generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip
    return SimpleNamespace(
        model=model, loss=loss, train=train_loader, optimizer=optimizer, scheduler=scheduler, steps=MAX_STEPS,
        held_out=[collate(eval_pairs[:64], tokenizer), collate(eval_pairs[64:], tokenizer)],
        held_out_texts=[german for _, german in eval_pairs],
        vocabulary=tokenizer, texts=texts, blank=None, target=0.9, better="higher", history=[],
    )  # fmt: skip


def train(run, watch):
    global_step = 0
    while True:
        for batch in run.train:
            run.model.train()
            contrastive = watch.step(run.loss, batch)
            contrastive.backward()
            torch.nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)
            run.optimizer.step()
            run.scheduler.step()
            run.optimizer.zero_grad()
            global_step += 1
            if global_step % EVAL_STEPS == 0:
                run.history.append((global_step, measure(run)))
            if global_step == run.steps:
                return
