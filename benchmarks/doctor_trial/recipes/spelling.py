"""Corrects misspelt words: a GRU reads the letters, another writes the word with attention; teacher forcing."""

from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torch.utils.data import DataLoader

BATCH, STEPS, WARM_UP, LEARNING_RATE, EVALUATE = 32, 350, 20, 5e-3, 25
SIZE, PAD, BEGIN, END, LONGEST = 48, 0, 1, 2, 12
LETTERS = "abdegiklmnoprstuv"


class Vocabulary:
    """Ids 0, 1 and 2 are padding, begin and end of a word."""

    def __init__(self, texts):
        letters = sorted(set("".join(texts)))
        self.ids = {letter: k for k, letter in enumerate(letters, 3)}
        self.letters = {k: letter for letter, k in self.ids.items()}

    def __len__(self):
        return len(self.ids) + 3

    def encode(self, text):
        return [self.ids[letter] for letter in text]

    def decode(self, ids):
        return "".join(self.letters[k] for k in ids if k not in (PAD, BEGIN, END))


def make_word(rng):
    """Two to four syllables of a consonant and a vowel."""
    vowels, consonants = "aeiou", [letter for letter in LETTERS if letter not in "aeiou"]
    size = int(torch.randint(2, 5, (), generator=rng))
    numbers = torch.randint(10**6, (2 * size,), generator=rng).tolist()
    return "".join(consonants[a % len(consonants)] + vowels[b % 5] for a, b in zip(numbers[::2], numbers[1::2]))


def misspell(word, rng):
    """A letter is doubled, or two change places: words are made of a consonant and a vowel in turn."""
    place = int(torch.randint(len(word) - 1, (), generator=rng))
    if float(torch.rand((), generator=rng)) < 0.5:
        return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    return word[: place + 1] + word[place:]


def make_rows(lexicon, count, rng):
    words = [lexicon[k] for k in torch.randint(len(lexicon), (count,), generator=rng)]
    return [(misspell(word, rng), word) for word in words]


def collate(rows, vocabulary):
    sources = [torch.tensor(vocabulary.encode(source)) for source, _ in rows]
    targets = [torch.tensor([BEGIN, *vocabulary.encode(word), END]) for _, word in rows]
    return (
        pad_sequence(sources, batch_first=True, padding_value=PAD),
        torch.tensor([len(one) for one in sources]),
        pad_sequence(targets, batch_first=True, padding_value=PAD),
        torch.tensor([len(one) for one in targets]),
    )


class Corrector(nn.Module):
    def __init__(self, letters):
        super().__init__()
        self.letters = nn.Embedding(letters, SIZE, padding_idx=PAD)
        self.encoder = nn.GRU(SIZE, SIZE // 2, bidirectional=True, batch_first=True)
        self.decoder = nn.GRU(SIZE, SIZE, batch_first=True)
        self.query = nn.Linear(SIZE, SIZE)
        self.dropout = nn.Dropout(0.1)
        self.join = nn.Linear(2 * SIZE, SIZE)
        self.head = nn.Linear(SIZE, letters)

    def encode(self, sources, lengths):
        packed = pack_padded_sequence(self.letters(sources), lengths, batch_first=True, enforce_sorted=False)
        states, _ = self.encoder(packed)
        return pad_packed_sequence(states, batch_first=True)[0]

    def forward(self, sources, lengths, written):
        memory = self.encode(sources, lengths)
        start = torch.zeros(1, len(sources), SIZE)
        x, _ = self.decoder(self.dropout(self.letters(written)), start)
        scores = self.query(x) @ memory.transpose(1, 2) / SIZE**0.5
        valid = torch.arange(memory.shape[1])[None, :] < lengths[:, None]
        weights = scores.masked_fill(~valid[:, None, :], -1e9).softmax(-1)
        context = weights @ memory
        x = torch.tanh(self.join(torch.cat([x, context], -1)))
        return self.head(x)


def loss(model, batch):
    sources, lengths, targets, target_lengths = batch
    scores = model(sources, lengths, targets[:, :-1])
    return F.cross_entropy(scores.flatten(0, 1), targets[:, 1:].flatten(), ignore_index=PAD)


def write(model, sources, lengths):
    written = torch.full((len(sources), 1), BEGIN)
    for _ in range(LONGEST):
        following = model(sources, lengths, written)[:, -1].argmax(-1)
        written = torch.cat([written, following[:, None]], 1)
    return written[:, 1:].tolist()


@torch.no_grad()
def measure(run):
    """Share of words that are written without a mistake, letter by letter from the model's own letters."""
    run.model.eval()
    found = []
    for sources, lengths, _, _ in run.held_out:
        for ids in write(run.model, sources, lengths):
            found.append(run.vocabulary.decode(ids[: ids.index(END)] if END in ids else ids))
    return sum(a == b for a, b in zip(found, run.held_out_texts)) / len(found)


def build(seed):
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed)
    lexicon = sorted({make_word(rng) for _ in range(1500)})
    held_out = make_rows(lexicon[::10], 64, rng)
    rows = make_rows([word for k, word in enumerate(lexicon) if k % 10], 3000, rng)
    texts = [word for _, word in rows]
    vocabulary = Vocabulary(texts)
    model = Corrector(len(vocabulary))
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
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
        held_out_texts=[word for _, word in held_out], target=0.7, better="higher", history=[],
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
