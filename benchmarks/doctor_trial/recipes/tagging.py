"""Tags words: the tag follows from the word and the one before it; attention, masked cross-entropy."""

from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader

BATCH, STEPS, WARM_UP, LEARNING_RATE, EVALUATE = 16, 250, 30, 1e-3, 10
SIZE, LONGEST, PAD = 32, 512, 0
NOUNS, VERBS, BOTH = ["cat", "dog", "sun", "sea"], ["sees", "has", "likes"], ["runs", "walks", "plays", "talks"]
OPENERS = ["the", "a", "my"]
TAGS = ["determiner", "noun", "verb", "plural"]


class Vocabulary:
    """Id 0 is padding, id 1 a word that is not known."""

    def __init__(self, sentences):
        words = sorted({word for sentence in sentences for word in sentence.split()})
        self.ids = {word: k for k, word in enumerate(["<pad>", "<unk>", *words])}
        self.words = list(self.ids)

    def encode(self, sentence):
        return [self.ids.get(word, 1) for word in sentence.split()]

    def decode(self, ids):
        return " ".join(self.words[k] for k in ids if k != PAD)


def make_row(rng):
    """After an opener, "runs" is a plural; after a noun, a verb."""

    def choose(words):
        return words[int(torch.randint(len(words), (), generator=rng))]

    words, tags = [], []
    for _ in range(int(torch.randint(1, 5, (), generator=rng))):
        words.append(choose(OPENERS))
        plural = float(torch.rand((), generator=rng)) < 0.5
        words.append(choose(BOTH if plural else NOUNS))
        words.append(choose(BOTH + VERBS))
        tags += [0, 3 if plural else 1, 2]
        if float(torch.rand((), generator=rng)) < 0.5:
            words += [choose(OPENERS), choose(NOUNS)]
            tags += [0, 1]
    return " ".join(words), tags


def collate(rows, vocabulary):
    sentences, tags = zip(*rows)
    words = pad_sequence([torch.tensor(vocabulary.encode(one)) for one in sentences], batch_first=True)
    tags = pad_sequence([torch.tensor(one) for one in tags], batch_first=True, padding_value=-100)
    return words, torch.tensor([len(one.split()) for one in sentences]), tags


class Tagger(nn.Module):
    def __init__(self, words):
        super().__init__()
        self.words = nn.Embedding(words, SIZE, padding_idx=PAD)
        self.places = nn.Embedding(LONGEST, SIZE)
        self.convolve = nn.Conv1d(SIZE, SIZE, 3, padding=1)
        layer = nn.TransformerEncoderLayer(SIZE, 4, 64, dropout=0.1, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(SIZE, len(TAGS))

    def forward(self, words, lengths):
        padding = torch.arange(words.shape[1])[None, :] >= lengths[:, None]
        positions = torch.arange(words.shape[1])
        x = self.words(words) + self.places(positions)
        x = x.masked_fill(padding[:, :, None], 0)
        x = x + F.relu(self.convolve(x.transpose(1, 2)).transpose(1, 2))
        x = self.encoder(x, src_key_padding_mask=padding)
        return self.head(x)


def loss(model, batch):
    words, lengths, tags = batch
    scores = model(words, lengths)
    return F.cross_entropy(scores.flatten(0, 1), tags.flatten(), ignore_index=-100)


@torch.no_grad()
def measure(run):
    """Share of tags that are right."""
    run.model.eval()
    right = total = 0
    for words, lengths, tags in run.held_out:
        found = run.model(words, lengths).argmax(-1)
        right += int((found == tags).sum())
        total += int(lengths.sum())
    return right / total


def build(seed):
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed)
    rows = [make_row(rng) for _ in range(800)]
    texts = [sentence for sentence, _ in rows]
    held_out = [row for row in (make_row(rng) for _ in range(300)) if row[0] not in set(texts)]
    vocabulary = Vocabulary(texts)
    model = Tagger(len(vocabulary.words))
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / WARM_UP) * max(0.05, 1 - step / STEPS)
    )
    train = DataLoader(
        rows, BATCH, shuffle=True, drop_last=True, collate_fn=lambda rows: collate(rows, vocabulary),
        generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip
    return SimpleNamespace(
        model=model, loss=loss, train=train, held_out=[collate(held_out, vocabulary)], optimizer=optimizer,
        scheduler=scheduler, steps=STEPS, vocabulary=vocabulary, texts=texts, blank=None,
        held_out_texts=[sentence for sentence, _ in held_out], target=0.97, better="higher", history=[],
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
