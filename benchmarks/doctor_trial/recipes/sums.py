"""Answers sums such as "347+8" digit by digit: nn.Transformer, teacher forcing, cross-entropy."""

import random
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader

PAD, BOS, EOS = 0, 1, 2
N_TRAIN, N_TEST = 5000, 100
B = 32
ITERS = 360
EVAL = 20
LR = 3e-3
D, HEADS, LAYERS, FF = 64, 4, 2, 128
DROPOUT = 0.05
MAXLEN = 24


class Chars:
    def __init__(self, strings):
        self.ctoi = {c: i for i, c in enumerate(sorted(set("".join(strings))), 3)}
        self.itoc = {i: c for c, i in self.ctoi.items()}

    def __len__(self):
        return 3 + len(self.ctoi)

    def encode(self, s):
        return [self.ctoi[c] for c in s]

    def decode(self, ids):
        out = ""
        for i in ids:
            if i == EOS:
                break
            if i not in (PAD, BOS):
                out += self.itoc[i]
        return out


def make_sums(n, rnd):
    """n different questions and their answers: a number of up to three digits, and a digit or two more."""
    sums = {}
    while len(sums) < n:
        a, b = rnd.randrange(1000), rnd.randrange(1, 10)
        sums[f"{a}+{b}"] = str(a + b)
    return list(sums.items())


def batchify(pairs, chars):
    src = [torch.tensor(chars.encode(q)) for q, _ in pairs]
    tgt = [torch.tensor([BOS, *chars.encode(a), EOS]) for _, a in pairs]
    return pad_sequence(src, batch_first=True, padding_value=PAD), pad_sequence(
        tgt, batch_first=True, padding_value=PAD
    )


class Net(nn.Module):
    def __init__(self, n_chars):
        super().__init__()
        self.emb = nn.Embedding(n_chars, D, padding_idx=PAD)
        self.src_pos = nn.Parameter(torch.randn(MAXLEN, D))
        self.tgt_pos = nn.Parameter(torch.randn(MAXLEN, D))
        self.drop = nn.Dropout(DROPOUT)
        self.transformer = nn.Transformer(
            D, HEADS, LAYERS, LAYERS, FF, dropout=DROPOUT, batch_first=True, norm_first=True
        )
        self.out = nn.Linear(D, n_chars)

    def encode(self, src):
        pad = src == PAD
        x = self.drop(self.emb(src) + self.src_pos[: src.shape[1]])
        return self.transformer.encoder(x, src_key_padding_mask=pad), pad

    def decode(self, tgt, memory, memory_pad):
        causal = torch.triu(torch.ones(tgt.shape[1], tgt.shape[1], dtype=torch.bool), diagonal=1)
        y = self.emb(tgt) + self.tgt_pos[: tgt.shape[1]]
        y = self.transformer.decoder(
            y, memory, tgt_mask=causal, tgt_key_padding_mask=tgt == PAD, memory_key_padding_mask=memory_pad
        )
        return self.out(y)

    def forward(self, src, tgt):
        memory, pad = self.encode(src)
        return self.decode(tgt, memory, pad)


def loss(net, batch):
    src, tgt = batch
    logits = net(src, tgt[:, :-1])
    gold = tgt[:, 1:]
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), gold.reshape(-1), ignore_index=PAD)


def answer(net, src):
    memory, pad = net.encode(src)
    ys = torch.full((src.shape[0], 1), BOS)
    for _ in range(6):
        nxt = net.decode(ys, memory, pad)[:, -1].argmax(-1)
        ys = torch.cat([ys, nxt[:, None]], dim=1)
    return ys


@torch.no_grad()
def measure(run):
    """Share of right answers."""
    run.model.eval()
    answers = []
    for src, _ in run.held_out:
        answers += [run.vocabulary.decode(ids) for ids in answer(run.model, src).tolist()]
    return sum(x == y for x, y in zip(answers, run.held_out_texts)) / len(answers)


def build(seed):
    torch.manual_seed(seed)
    sums = make_sums(N_TRAIN + N_TEST, random.Random(seed))
    test, data = sums[:N_TEST], sums[N_TEST:]
    texts = [q for q, _ in data] + [a for _, a in data]
    chars = Chars(texts)
    net = Net(len(chars))
    opt = torch.optim.Adam(net.parameters(), lr=LR, betas=(0.9, 0.98))
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=LR, total_steps=ITERS, pct_start=0.15)
    loader = DataLoader(data, B, shuffle=True, drop_last=True, collate_fn=lambda pairs: batchify(pairs, chars),
                        generator=torch.Generator().manual_seed(seed))  # fmt: skip
    return SimpleNamespace(
        model=net, loss=loss, train=loader, held_out=[batchify(test, chars)], held_out_texts=[a for _, a in test],
        optimizer=opt, scheduler=sched, steps=ITERS, vocabulary=chars, texts=texts, blank=None,
        target=0.6, better="higher", history=[],
    )  # fmt: skip


def train(run, watch):
    net, opt, sched = run.model, run.optimizer, run.scheduler
    it = 0
    while True:
        for batch in run.train:
            net.train()
            ce = watch.step(run.loss, batch)
            opt.zero_grad()
            ce.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            opt.step()
            sched.step()
            it += 1
            if it % EVAL == 0:
                run.history.append((it, measure(run)))
            if it >= run.steps:
                return
