"""Patches of the recipe that predicts the weights of peptides."""

from __future__ import annotations

from doctor_trial.fault import Patches, one

OPTIMIZER = "torch.optim.RMSprop(model.parameters(), lr=LR, alpha=0.95)"
SCHEDULE = "torch.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=N_STEPS, power=0.9)"
ZERO, BACKWARD = "            run.optimizer.zero_grad()\n", "            error.backward()\n"
CLIP = "            nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)\n"
STEP = "            run.optimizer.step()\n"
SCHEDULED = "            run.scheduler.step()\n"
OPTIMIZED = "    optimizer = torch.optim."
SPLIT = "    train_rows, test_rows = rows[200:], rows[:200]\n"
HEAD, DROPPED = "nn.Linear(MIX, 1)", "self.head(self.drop(hidden)).squeeze(1)"
EMBEDDED = "        x = self.norm(self.embed(ids))\n"
PACKED = "        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)\n"
STATES = "        states, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)\n"
LSTM = "nn.LSTM(EMB, HID, batch_first=True, bidirectional=True)"
POOL = "        self.pool = AttentionPool(2 * HID)\n"


def _optimizer(new: str) -> Patches:
    return one(OPTIMIZER, f"torch.optim.{new}")


def _schedule(new: str) -> Patches:
    return one(SCHEDULE, f"torch.optim.lr_scheduler.{new}")


def _longer(factor: float) -> Patches:
    return one("N_STEPS = 220", f"N_STEPS = {int(220 * factor)}")


def _changed(row: str) -> Patches:
    """Rows for training, each changed."""
    new = f"    train_rows = [{row} for n, (seq, density, weight) in enumerate(train_rows)]\n"
    return one(SPLIT, SPLIT + new)


def _accumulated(of: int, scale: str) -> Patches:
    """A step after so many batches."""
    return (
        (ZERO, f"            if done % {of} == 0:\n    {ZERO}"),
        (BACKWARD, f"            (error{scale}).backward()\n"),
        (CLIP + STEP + SCHEDULED,
         f"            if done % {of} == {of - 1} or done + 1 == run.steps:\n    {CLIP}    {STEP}    {SCHEDULED}"),
    )  # fmt: skip


def _scaled(unscale: str, first: str = "") -> Patches:
    return (
        ("history=[],", 'history=[], scaler=torch.amp.GradScaler("cpu"),'),
        (BACKWARD, f"            run.scaler.scale(error).backward()\n{first}"),
        (CLIP + STEP, f"{unscale}{CLIP}            run.scaler.step(run.optimizer)\n            run.scaler.update()\n"),
    )


def _checkpoint(name: str, strict: bool) -> Patches:
    return (
        (OPTIMIZED,
         f"    pretrained = {{{name}: weight.clone() for name, weight in model.state_dict().items()}}\n"
         "    for weight in model.parameters():\n"
         "        nn.init.normal_(weight, std=0.1) if weight.dim() > 1 else None\n"
         f"    model.load_state_dict(pretrained, strict={strict})\n{OPTIMIZED}"),
        ("history=[],", "history=[], checkpoint=pretrained,"),
    )  # fmt: skip


UNSCALE = "            run.scaler.unscale_(run.optimizer)\n"
INFINITE = '            if done % 10:\n                next(run.model.parameters()).grad[0] = float("inf")\n'

DATA: dict[str, Patches] = {
    "not-scaled": one('"density": (density - DENSITY_MEAN) / DENSITY_STD', '"density": density'),
    "rows-in-both-splits": one("rows[200:], rows[:200]", "rows, rows[:200]"),
    "not-shuffled": one(
        "DataLoader(train_rows, BATCH_SIZE, shuffle=True",
        "DataLoader(sorted(train_rows, key=lambda row: len(row[0])), BATCH_SIZE, shuffle=False",
    ),
    "other-scale-held-out": one(
        SPLIT, f"{SPLIT}    test_rows = [(seq, density / 10, weight) for seq, density, weight in test_rows]\n"
    ),
    "labels-rolled": one(
        "for _, _, weight in rows])\n        return", "for _, _, weight in rows[1:] + rows[:1]])\n        return"
    ),
    "texts-of-other-rows": _changed("(seq, density, train_rows[n - 1][2] if n % 10 == 0 else weight)"),
}  # fmt: skip

LEDGER: dict[str, Patches] = {
    "group-left-out": one(
        "(model.parameters(), lr=",
        "(itertools.chain(*(part.parameters() for part in (model.embed, model.lstm, model.mix, model.head))), lr=",
    ),
    "head-replaced-later": one(
        "    return SimpleNamespace(\n", f"    model.head = {HEAD}\n    return SimpleNamespace(\n"
    ),
    "blocked-layer": one("pooled = self.pool(states, mask)", "pooled = self.pool(states, mask).detach()"),
    "attention-cut": one("pooled = self.pool(states, mask)", "pooled = 0 * self.pool(states, mask)"),
    "real-token-as-padding": one("EMB, padding_idx=Alphabet.PAD)", "EMB, padding_idx=3)"),
    "checkpoint-with-a-prefix": _checkpoint('f"module.{name}"', False),
    "gates-closed": (
        (LSTM, "nn.LSTM(EMB, HID, num_layers=4, batch_first=True, bidirectional=True)"),
        (POOL, '        for name, bias in self.lstm.named_parameters():\n            if "bias_ih" in name:\n'
               f"                nn.init.constant_(bias[: 2 * HID], -6.0)\n{POOL}"),
    ),
}  # fmt: skip

LOOP: dict[str, Patches] = {
    "no-zero-grad": one(ZERO, ""),
    "accumulation-not-divided": _accumulated(4, ""),
    "zeroed-before-step": ((ZERO, ""), (STEP, ZERO + STEP)),
    "accumulation-lost": _accumulated(4, " / 4")[1:],
    "clipped-before-unscaling": _scaled(""),
    "scheduler-for-optimizer": one(STEP, ""),
    "schedule-per-batch": _schedule("StepLR(optimizer, step_size=5, gamma=0.5)"),
    "rate-too-high": one("lr=LR, alpha", "lr=40 * LR, alpha"),
    "steps-skipped": _scaled(UNSCALE, INFINITE),
    "decay-too-strong": one("alpha=0.95)", "alpha=0.95, weight_decay=0.5)"),
}

LOSS: dict[str, Patches] = {
    "targets-outside-outputs": one(DROPPED, "F.softplus(self.head(self.drop(hidden))).squeeze(1)"),
    "targets-broadcast": one(DROPPED, "self.head(self.drop(hidden))"),
    "dropout-in-evaluation": one(DROPPED, "self.head(F.dropout(hidden, 0.1)).squeeze(1)"),
    "never-in-training-mode-again": one("            run.model.train()\n", ""),
    "evaluated-in-training-mode": one("    run.model.eval()\n", ""),
}

ROWS: dict[str, Patches] = {
    "recurrence-over-batch": (
        (LSTM, "nn.LSTM(EMB, HID, bidirectional=True)"), (PACKED, ""), (STATES, "        states, _ = self.lstm(x)\n"),
    ),
    "padding-not-masked": one('        scores = scores.masked_fill(~mask, float("-inf"))\n', ""),
    "batch-norm-over-padding": (
        ("nn.LayerNorm(EMB)", "nn.BatchNorm1d(EMB)"),
        (EMBEDDED, "        x = self.norm(self.embed(ids).transpose(1, 2)).transpose(1, 2)\n"),
    ),
    "statistics-of-the-batch": one(
        EMBEDDED, "        x = self.embed(ids)\n        x = self.norm((x - x.mean((0, 1))) / x.std((0, 1)))\n"
    ),
    "mask-inverted": one("scores.masked_fill(~mask,", "scores.masked_fill(mask,"),
    "rows-sorted-not-targets": one(
        EMBEDDED,
        "        lengths, order = lengths.sort(descending=True)\n        ids = ids[order]\n" + EMBEDDED,
    ),
}  # fmt: skip

ROUND_TRIP: dict[str, Patches] = {
    "padding-is-a-character": (
        ("{letter: i for i, letter in enumerate(self.letters, start=2)}",
         "{letter: i + 1 if i else 0 for i, letter in enumerate(self.letters)}"),
        ("self.letters[i - 2]", "self.letters[i - 1]"),
    ),
    "vocabulary-of-a-set": one('sorted(set("".join(sequences)))', 'list(set("".join(sequences)))'),
    "unknown-case": one('sorted(set("".join(sequences)))', 'sorted(set("".join(sequences).upper()))'),
    "case-in-loader": one("self.alphabet.encode(seq)", "self.alphabet.encode(seq.upper())"),
}  # fmt: skip

CONTROLS: dict[str, Patches] = {
    "as-it-is": (),
    "warm-up-long": _schedule(
        "LambdaLR(\n        optimizer,\n"
        "        lambda step: min(4 * (step + 1) / N_STEPS, 1.0) * (1 - step / N_STEPS) ** 0.9,\n    )"
    ),
    "warm-up-from-zero": _schedule(
        "LambdaLR(optimizer, lambda step: min(1.0, step / 15) * (1 - step / N_STEPS) ** 0.9)"
    ),
    "frozen-layer": one(OPTIMIZED, f"    model.embed.requires_grad_(False)\n{OPTIMIZED}"),
    "accumulation-of-two": (*_longer(1.6), *_accumulated(2, " / 2")),
    "gradient-scaler": _scaled(UNSCALE),
    "checkpoint-loaded": _checkpoint("name", True),
    "no-clipping": one(CLIP, ""),
    "weight-decay": _optimizer("AdamW(model.parameters(), lr=LR, weight_decay=0.05)"),
    "nadam": _optimizer("NAdam(model.parameters(), lr=LR)"),
    "no-shuffling-needed": one("BATCH_SIZE, shuffle=True", "BATCH_SIZE, shuffle=False"),
    "short-rows-first": one(
        "        for batch in run.train:\n",
        '        batches = run.train if done else sorted(run.train, key=lambda batch: batch["ids"].shape[1])\n'
        "        for batch in batches:\n",
    ),
    "dropout-half": (*_longer(1.5), ("nn.Dropout(0.1)", "nn.Dropout(0.5)")),
    "label-noise": _changed("(seq, density, train_rows[n - 1][2] if n % 20 == 0 else weight)"),
    "stateful-recurrence": (
        (POOL, f"        self.memory = None\n{POOL}"),
        (STATES,
         "        start = torch.zeros(2, len(ids), HID)\n"
         "        if self.training and self.memory is not None:\n            start = start + self.memory\n"
         "        states, (last, _) = self.lstm(packed, (start, torch.zeros_like(start)))\n"
         "        if self.training:\n            self.memory = 0.1 * last.detach().mean(1, keepdim=True)\n"
         "        states, _ = pad_packed_sequence(states, batch_first=True)\n"),
    ),
    "bfloat16": one(
        "        hidden = F.silu(self.mix(torch.cat([pooled, density[:, None]], dim=1)))\n",
        '        with torch.autocast("cpu", torch.bfloat16):\n'
        "            hidden = F.silu(self.mix(torch.cat([pooled, density[:, None]], dim=1))).float()\n",
    ),
    "head-of-zeros": (*_longer(1.4), (OPTIMIZED, f"    nn.init.zeros_(model.head.weight)\n{OPTIMIZED}")),
    "large-batch": one("BATCH_SIZE, shuffle", "2 * BATCH_SIZE, shuffle"),
    "small-batch": (*_longer(1.5), ("BATCH_SIZE, shuffle", "BATCH_SIZE // 2, shuffle")),
    "last-batch-kept": one("drop_last=True", "drop_last=False"),
    "weight-norm": one(HEAD, f"nn.utils.parametrizations.weight_norm({HEAD})"),
    "cosine-restarts": _schedule("CosineAnnealingWarmRestarts(optimizer, N_STEPS // 4)"),
    "averaged-weights": (
        ("history=[],", "history=[], average=torch.optim.swa_utils.AveragedModel(model),"),
        (STEP, f"{STEP}            run.average.update_parameters(run.model)\n"),
    ),
    "head-faster": _optimizer(
        "RMSprop(\n        [\n"
        '            {"params": model.head.parameters(), "lr": 2 * LR},\n'
        '            {"params": [p for name, p in model.named_parameters() if not name.startswith("head.")]},\n'
        "        ],\n        lr=LR, alpha=0.95,\n    )"
    ),
}  # fmt: skip

PATCHES: dict[str, Patches] = DATA | LEDGER | LOOP | LOSS | ROWS | ROUND_TRIP | CONTROLS
