"""Faults and healthy variants of the recipe that answers sums."""

from __future__ import annotations

from doctor_trial.fault import Patches, one

STEP = "            opt.step()\n"
ZERO = "            opt.zero_grad()\n"
BACKWARD = "            ce.backward()\n"
CLIP = "            nn.utils.clip_grad_norm_(net.parameters(), 1.0)\n"
ADAM = "torch.optim.Adam(net.parameters(), lr=LR, betas=(0.9, 0.98))"
SCHEDULE = "torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=LR, total_steps=ITERS, pct_start=0.15)"
LOADER = "    loader = DataLoader(data, B, shuffle=True,"
DROP = "self.drop(self.emb(src) + self.src_pos[: src.shape[1]])"
LOSS = "    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), gold.reshape(-1), ignore_index=PAD)\n"


def _longer(iterations: int) -> tuple[str, str]:
    return "ITERS = 360", f"ITERS = {iterations}"


def _accumulated(of: int, scale: str = "") -> Patches:
    return (
        (ZERO, f"            if it % {of} == 0:\n                opt.zero_grad()\n"),
        (BACKWARD,
         f"            (ce{scale}).backward()\n            if (it + 1) % {of} and it + 1 < run.steps:\n"
         "                it += 1\n                sched.step()\n                continue\n"),
    )  # fmt: skip


def _scaled(after_backward: str = "", unscale: str = "            run.scaler.unscale_(opt)\n") -> Patches:
    return (
        ('better="higher", history=[],', 'better="higher", history=[], scaler=torch.amp.GradScaler("cpu"),'),
        (BACKWARD, f"            run.scaler.scale(ce).backward()\n{after_backward}"),
        (CLIP + STEP, f"{unscale}{CLIP}            run.scaler.step(opt)\n            run.scaler.update()\n"),
    )


def _checkpoint(key: str, strict: bool) -> Patches:
    return (
        (f"    opt = {ADAM}\n",
         f"    state = {{{key}: w.clone() for k, w in net.state_dict().items()}}\n"
         "    for w in net.parameters():\n        w.data.normal_(0, 0.1) if w.dim() > 1 else None\n"
         f"    net.load_state_dict(state, strict={strict})\n    opt = {ADAM}\n"),
        ('better="higher", history=[],', 'better="higher", history=[], checkpoint=state,'),
    )  # fmt: skip


SMOOTHED = """\
    logp = logits.log_softmax(-1)
    nll = F.nll_loss(logp.reshape(-1, logp.shape[-1]), gold.reshape(-1), ignore_index=PAD)
    return 0.9 * nll - 0.1 * logp.mean()
"""

FAULTS: dict[str, Patches] = {
    "padding-is-a-character": one('sorted(set("".join(strings))), 3)}',
                                  'sorted(set("".join(strings))), 3)}\n        self.ctoi["0"] = 0'),
    "vocabulary-of-a-set": one('sorted(set("".join(strings)))', 'set("".join(strings))'),
    "begin-twice": one("[BOS, *chars.encode(a), EOS]", "[BOS, BOS, *chars.encode(a), EOS]"),
    "reversed-texts": one("[BOS, *chars.encode(a), EOS]", "[BOS, *chars.encode(a[::-1]), EOS]"),
    "rows-in-both-splits": one("test, data = sums[:N_TEST], sums[N_TEST:]", "test, data = sums[:N_TEST], sums"),
    "not-shuffled": one(LOADER, "    data.sort(key=lambda pair: len(pair[0]) + len(pair[1]))\n"
                                "    loader = DataLoader(data, B, shuffle=False,"),
    "labels-rolled": one("EOS]) for _, a in pairs]", "EOS]) for _, a in pairs[-1:] + pairs[:-1]]"),
    "texts-of-other-rows": one("    chars = Chars(texts)\n",
                               "    chars = Chars(texts)\n"
                               "    data = [(q, data[i - 1][1] if i % 10 == 0 else a) for i, (q, a) in enumerate(data)]\n"),
    "group-left-out": one(ADAM, ADAM.replace("net.parameters()", "[*net.transformer.parameters(), *net.out.parameters()]")),
    "head-replaced-later": one("    loader = DataLoader(", "    net.out = nn.Linear(D, len(chars))\n    loader = DataLoader("),
    "blocked-layer": one("return self.decode(tgt, memory, pad)", "return self.decode(tgt, memory.detach(), pad)"),
    "attention-cut": one("            y, memory, tgt_mask", "            y, torch.zeros_like(memory), tgt_mask"),
    "real-token-as-padding": one("nn.Embedding(n_chars, D, padding_idx=PAD)", "nn.Embedding(n_chars, D, padding_idx=5)"),
    "checkpoint-with-a-prefix": _checkpoint('f"module.{k}"', False),
    "positions-of-the-batch": (("self.src_pos[: src.shape[1]]", "self.src_pos[: src.shape[0], None]"),
                               ("self.tgt_pos[: tgt.shape[1]]", "self.tgt_pos[: tgt.shape[0], None]"),
                               ("MAXLEN = 24", "MAXLEN = 512")),
    "padding-not-masked": (("self.transformer.encoder(x, src_key_padding_mask=pad)", "self.transformer.encoder(x)"),
                           (", memory_key_padding_mask=memory_pad", "")),
    "mask-inverted": one("        pad = src == PAD\n", "        pad = src != PAD\n"),
    "rows-sorted-not-targets": one("        memory, pad = self.encode(src)\n",
                                   "        src = src[(src != PAD).sum(1).argsort(descending=True)]\n"
                                   "        memory, pad = self.encode(src)\n"),
    "future-seen": one("tgt_mask=causal, ", ""),
    "no-log-softmax": one("F.cross_entropy(", "F.nll_loss("),
    "softmax-twice": one("return self.out(y)", "return self.out(y).softmax(-1)"),
    "softmax-in-training-only": one("        return self.out(y)\n",
                                    "        y = self.out(y)\n        return y.softmax(-1) if self.training else y\n"),
    "softmax-in-evaluation-only": one("        return self.out(y)\n",
                                      "        y = self.out(y)\n        return y if self.training else F.softmax(y, dim=-1)\n"),
    "relu-head": one("return self.out(y)", "return F.relu(self.out(y))"),
    "padding-in-loss": one("gold.reshape(-1), ignore_index=PAD)", "gold.reshape(-1))"),
    "padding-in-smoothing": one(LOSS, SMOOTHED),
    "dropout-in-evaluation": one(DROP, "F.dropout(self.emb(src) + self.src_pos[: src.shape[1]], DROPOUT)"),
    "never-in-training-mode-again": one("            net.train()\n", ""),
    "evaluated-in-training-mode": one("    run.model.eval()\n", ""),
    "no-zero-grad": one(ZERO, ""),
    "accumulation-not-divided": _accumulated(4),
    "mean-of-means": (*one("DataLoader(data, B,", "DataLoader(data, 2,"), *_accumulated(4, " / 4")),
    "zeroed-before-step": ((ZERO, ""), (STEP, ZERO + STEP)),
    "accumulation-lost": _accumulated(4, " / 4")[1:],
    "clipped-before-unscaling": _scaled(unscale=""),
    "scheduler-for-optimizer": one(STEP, ""),
    "schedule-per-batch": one(SCHEDULE, "torch.optim.lr_scheduler.ExponentialLR(opt, 0.8)"),
    "rate-too-high": (("LR = 3e-3", "LR = 0.1"), ("pct_start=0.15", "pct_start=0.001")),
    "steps-skipped": _scaled("            if it % 10:\n                net.out.weight.grad[0] = float(\"nan\")\n"),
    "decay-too-strong": one("betas=(0.9, 0.98))", "betas=(0.9, 0.98), weight_decay=0.5)"),
}  # fmt: skip

CONTROLS: dict[str, Patches] = {
    "as-it-is": (),
    "warm-up-long": (("pct_start=0.15", "pct_start=0.35"), _longer(440)),
    "warm-up-from-zero": one("pct_start=0.15", "pct_start=0.15, div_factor=1e9"),
    "frozen-layer": (("    opt = torch", "    net.tgt_pos.requires_grad_(False)\n    opt = torch"), _longer(440)),
    "accumulation-of-two": (*_accumulated(2, " / 2"), _longer(640)),
    "gradient-scaler": _scaled(),
    "checkpoint-loaded": _checkpoint("k", True),
    "no-clipping": one(CLIP, ""),
    "weight-decay": one(ADAM, "torch.optim.AdamW(net.parameters(), lr=LR, betas=(0.9, 0.98), weight_decay=0.05)"),
    "nadam": (one(ADAM, "torch.optim.NAdam(net.parameters(), lr=LR)")
              + one(SCHEDULE, SCHEDULE.replace("pct_start=0.15", "pct_start=0.15, cycle_momentum=False"))
              + (_longer(440),)),
    "no-shuffling-needed": one("B, shuffle=True", "B, shuffle=False"),
    "short-rows-first": one("        for batch in run.train:\n",
                            "        for batch in run.train if it else sorted(run.train, key=lambda b: b[1].numel()):\n"),
    "dropout-half": (("self.drop = nn.Dropout(DROPOUT)", "self.drop = nn.Dropout(DROPOUT)\n        self.last_drop = nn.Dropout(0.5)"),
                     ("self.out(y)", "self.out(self.last_drop(y))"), _longer(540)),
    "label-noise": (("    chars = Chars(texts)\n",
                     "    data = [(q, str((int(a) + 7) % 1000) if i % 25 == 0 else a) for i, (q, a) in enumerate(data)]\n"
                     "    texts = [q for q, _ in data] + [a for _, a in data]\n    chars = Chars(texts)\n"), _longer(540)),
    "bfloat16": one("        return self.transformer.encoder(x, src_key_padding_mask=pad), pad\n",
                    '        with torch.autocast("cpu", torch.bfloat16):\n'
                    "            memory = self.transformer.encoder(x, src_key_padding_mask=pad)\n"
                    "        return memory.float(), pad\n"),
    "label-smoothing": one("ignore_index=PAD)\n", "ignore_index=PAD, label_smoothing=0.1)\n"),
    "tied-weights": (("        self.out = nn.Linear(D, n_chars)\n",
                      "        self.out = nn.Linear(D, n_chars)\n        self.out.weight = self.emb.weight\n"
                      "        nn.init.normal_(self.emb.weight, std=0.2)\n"), _longer(540)),
    "head-of-zeros": (("    opt = torch", "    nn.init.zeros_(net.out.weight)\n    opt = torch"), _longer(500)),
    "large-batch": one("DataLoader(data, B,", "DataLoader(data, 2 * B,"),
    "small-batch": (("DataLoader(data, B,", "DataLoader(data, B // 2,"), _longer(600)),
    "last-batch-kept": one("drop_last=True", "drop_last=False"),
    "weight-norm": one("nn.Linear(D, n_chars)", "nn.utils.parametrizations.weight_norm(nn.Linear(D, n_chars))"),
    "cosine-restarts": one(SCHEDULE, "torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(opt, ITERS // 2)"),
    "averaged-weights": (('better="higher", history=[],',
                          'better="higher", history=[], average=torch.optim.swa_utils.AveragedModel(net),'),
                         (STEP, f"{STEP}            run.average.update_parameters(net)\n")),
    "head-faster": (
        (ADAM,
         'torch.optim.Adam([{"params": net.out.parameters(), "lr": 2 * LR}, {"params": [\n'
         '        w for k, w in net.named_parameters() if not k.startswith("out.")]}], lr=LR, betas=(0.9, 0.98))'),
        ("max_lr=LR", "max_lr=[2 * LR, LR]"),
    ),
}  # fmt: skip

PATCHES = FAULTS | CONTROLS
