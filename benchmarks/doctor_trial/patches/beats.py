"""Patches of the recipe that marks beats; its binary labels have a sigmoid where classes have a softmax."""

from __future__ import annotations

from doctor_trial.fault import Patches, one

OPTIMIZER = "torch.optim.Adam(model.parameters(), lr=cfg.lr, betas=(0.9, 0.98))"
SCHEDULE = "torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, total_iters=cfg.steps)"
ZERO, BACKWARD = "        run.optimizer.zero_grad()\n", "        value.backward()\n"
CLIP = "        torch.nn.utils.clip_grad_norm_(run.model.parameters(), max_norm=2.0)\n"
STEP = "        run.optimizer.step()\n"
SCHEDULED = "        run.scheduler.step()\n"
CLIPS = "    clips = [record(rng) for _ in range(410)]\n"
TEST_CLIPS = "    test_clips = [record(rng) for _ in range(48)]\n"
HALVED = "        lengths = (lengths + 1) // 2\n"
HEAD, LOGITS = "nn.Conv1d(cfg.width, 1, kernel_size=1)", "logits = self.head(x).squeeze(1)"
NORM = "self.norm(y.transpose(1, 2)).transpose(1, 2)"
OPTIMIZED = "    optimizer = torch.optim."
MEAN = "    return (bce * mask).sum() / mask.sum()\n"


def _changed(clip: str) -> Patches:
    """Clips for training, each changed."""
    return one(CLIPS, f"{CLIPS}    clips = [{clip} for n, (spectrum, beats) in enumerate(clips)]\n")


def _optimizer(new: str) -> Patches:
    return one(OPTIMIZER, f"torch.optim.{new}")


def _schedule(new: str) -> Patches:
    return one(SCHEDULE, f"torch.optim.lr_scheduler.{new}")


def _longer(factor: float) -> Patches:
    return one("steps=180", f"steps={int(180 * factor)}")


def _accumulated(of: int, scale: str) -> Patches:
    """A step after so many batches."""
    return (
        (ZERO, f"        if step % {of} == 1:\n    {ZERO}"),
        (BACKWARD, f"        (value{scale}).backward()\n"),
        (CLIP + STEP + SCHEDULED,
         f"        if step % {of} == 0 or step == run.steps:\n    {CLIP}    {STEP}    {SCHEDULED}"),
    )  # fmt: skip


def _scaled(unscale: str, first: str = "") -> Patches:
    return (
        ("        history=[],\n", '        history=[],\n        scaler=torch.amp.GradScaler("cpu"),\n'),
        (BACKWARD, f"        run.scaler.scale(value).backward()\n{first}"),
        (CLIP + STEP, f"{unscale}{CLIP}        run.scaler.step(run.optimizer)\n        run.scaler.update()\n"),
    )


def _checkpoint(name: str, strict: bool) -> Patches:
    return (
        (OPTIMIZED,
         f"    saved = {{{name}: weight.clone() for name, weight in model.state_dict().items()}}\n"
         "    for weight in model.parameters():\n"
         "        nn.init.normal_(weight, std=0.1) if weight.dim() > 1 else None\n"
         f"    model.load_state_dict(saved, strict={strict})\n{OPTIMIZED}"),
        ("        history=[],\n", "        history=[],\n        checkpoint=saved,\n"),
    )  # fmt: skip


UNSCALE = "        run.scaler.unscale_(run.optimizer)\n"
INFINITE = '        if step % 10:\n            next(run.model.parameters()).grad[0] = float("inf")\n'

DATA: dict[str, Patches] = {
    "silent-rows": _changed("(spectrum * (n % 100 > 0), beats)"),
    "one-frame-clip": _changed("(spectrum[:, :1], beats[beats < 1]) if n % 100 == 0 else (spectrum, beats)"),
    "wrong-rate": one(CLIPS, CLIPS.replace("record(rng)", "record(rng, rate=cfg.rate // 2)")),
    "not-scaled": one("[(normalise(spectrum), beats)", "[(spectrum, beats)"),
    "rows-in-both-splits": one(TEST_CLIPS, "    test_clips = clips[:48]\n"),
    "not-shuffled": (
        (CLIPS, f"{CLIPS}    clips.sort(key=lambda clip: clip[0].shape[1])  # less padding\n"),
        ("shuffle=True", "shuffle=False"),
    ),
    "all-frames-masked": one("longest_gap=6,", "longest_gap=1000,"),
    "other-scale-held-out": one(
        "[(normalise(spectrum), beats)", "[(normalise(spectrum) if augment else spectrum, beats)"
    ),
    "labels-rolled": one("zip(labels, beats):", "zip(labels, beats[1:] + beats[:1]):"),
    "texts-of-other-rows": one(
        CLIPS,
        f"{CLIPS}    for n in range(0, len(clips), 10):\n        spectrum, beats = clips[n][0], clips[n - 1][1]\n"
        "        clips[n] = spectrum, beats[beats < spectrum.shape[1]]\n",
    ),
}  # fmt: skip

LEDGER: dict[str, Patches] = {
    "group-left-out": one("(model.parameters(), lr=", "([*model.stem.parameters(), *model.head.parameters()], lr="),
    "head-replaced-later": one(
        "    return SimpleNamespace(\n", f"    model.head = {HEAD}\n    return SimpleNamespace(\n"
    ),
    "blocked-layer": one("x = block(x, mask)", "x = block(x.detach(), mask)"),
    "checkpoint-with-a-prefix": _checkpoint('"module." + name', False),
}

LOOP: dict[str, Patches] = {
    "no-zero-grad": one(ZERO, ""),
    "accumulation-not-divided": _accumulated(4, ""),
    "mean-of-means": (("batch_size=16", "batch_size=2"), *_accumulated(4, " / 4")),
    "zeroed-before-step": ((ZERO, ""), (STEP, ZERO + STEP)),
    "accumulation-lost": _accumulated(4, " / 4")[1:],
    "clipped-before-unscaling": _scaled(""),
    "scheduler-for-optimizer": one(STEP, ""),
    "schedule-per-batch": _schedule("ExponentialLR(optimizer, gamma=0.8)"),
    "rate-too-high": one("lr=cfg.lr,", "lr=1000 * cfg.lr,"),
    "steps-skipped": _scaled(UNSCALE, INFINITE),
    "decay-too-strong": one("betas=(0.9, 0.98))", "betas=(0.9, 0.98), weight_decay=5.0)"),
}

LOSS: dict[str, Patches] = {
    "softmax-twice": one(LOGITS, "logits = self.head(x).squeeze(1).sigmoid()"),
    "softmax-in-training-only": one(
        LOGITS, f"{LOGITS}\n        if self.training:\n            logits = logits.sigmoid()"
    ),
    "softmax-in-evaluation-only": one(
        LOGITS, f"{LOGITS}\n        if not self.training:\n            logits = logits.sigmoid()"
    ),
    "relu-head": one(LOGITS, "logits = F.relu(self.head(x)).squeeze(1)"),
    "padding-in-loss": one(MEAN, "    return bce.mean()\n"),
    "padding-in-smoothing": one(
        MEAN,
        "    even = F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, 0.5))\n"
        "    return 0.9 * (bce * mask).sum() / mask.sum() + 0.1 * even\n",
    ),
    "dropout-in-evaluation": one("y = self.dropout(F.gelu(y))", "y = F.dropout(F.gelu(y), cfg.dropout)"),
    "never-in-training-mode-again": one("    run.model.train()\n    return", "    return"),
    "evaluated-in-training-mode": one("    run.model.eval()\n", ""),
}

ROWS: dict[str, Patches] = {
    "lengths-before-subsampling": one(HALVED, ""),
    "lengths-halved-twice": one(HALVED, "        lengths = (lengths + 3) // 4\n"),
    "mask-by-slicing": one(HALVED, "        lengths = mask_for(lengths, spectra.shape[2])[:, :-2:2].sum(1).long()\n"),
    "axes-mixed": one(NORM, "self.norm(y.reshape(len(y), -1, y.shape[1])).reshape(y.shape)"),
    "padding-not-masked": (("return (x + y) * mask", "return x + y"), ("        x = x * mask\n", "")),
    "batch-norm-over-padding": ((NORM, "self.norm(y)"), ("nn.LayerNorm(width)", "nn.BatchNorm1d(width)")),
    "statistics-of-the-batch": one(
        "        x = F.gelu(self.stem(spectra))\n",
        "        spectra = spectra - spectra.mean((0, 2), keepdim=True)\n"
        "        x = F.gelu(self.stem(spectra / spectra.std((0, 2), keepdim=True)))\n",
    ),
    "mask-inverted": one(
        "mask = mask_for(lengths, x.shape[2]).unsqueeze(1)", "mask = 1 - mask_for(lengths, x.shape[2]).unsqueeze(1)"
    ),
    "rows-sorted-not-targets": one(
        "        x = F.gelu(self.stem(spectra))\n",
        "        lengths, order = lengths.sort(descending=True)\n        x = F.gelu(self.stem(spectra[order]))\n",
    ),
}

CONTROLS: dict[str, Patches] = {
    "as-it-is": (),
    "warm-up-long": _schedule(
        "SequentialLR(\n        optimizer,\n        [\n"
        "            torch.optim.lr_scheduler.LinearLR(optimizer, 0.01, 1.0, total_iters=cfg.steps // 4),\n"
        "            torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, total_iters=3 * cfg.steps // 4),\n"
        "        ],\n        milestones=[cfg.steps // 4],\n    )"
    ),
    "warm-up-from-zero": _schedule("LambdaLR(optimizer, lambda step: min(1.0, step / 25))"),
    "frozen-layer": one(OPTIMIZED, f"    model.blocks[0].requires_grad_(False)\n{OPTIMIZED}"),
    "accumulation-of-two": (*_longer(1.6), *_accumulated(2, " / 2")),
    "gradient-scaler": _scaled(UNSCALE),
    "checkpoint-loaded": _checkpoint("name", True),
    "no-clipping": one(CLIP, ""),
    "weight-decay": _optimizer("AdamW(model.parameters(), lr=cfg.lr, weight_decay=0.05)"),
    "nadam": _optimizer("NAdam(model.parameters(), lr=cfg.lr)"),
    "no-shuffling-needed": one("shuffle=True", "shuffle=False"),
    "short-rows-first": one(
        "    while True:\n",
        "    yield from sorted(loader, key=lambda batch: batch.spectra.shape[2])\n    while True:\n",
    ),
    "dropout-half": (*_longer(1.5), ("dropout=0.1", "dropout=0.5")),
    "label-noise": _changed("(spectrum, beats[(torch.arange(len(beats)) + n) % 20 > 0])"),
    "bfloat16": one(
        "        y = self.conv(x)\n",
        '        with torch.autocast("cpu", torch.bfloat16):\n            y = self.conv(x).float()\n',
    ),
    "label-smoothing": one("logits, batch.beats, pos", "logits, 0.9 * batch.beats + 0.05, pos"),
    "head-of-zeros": (*_longer(1.4), (OPTIMIZED, f"    nn.init.zeros_(model.head.weight)\n{OPTIMIZED}")),
    "large-batch": one("batch_size=16", "batch_size=32"),
    "small-batch": (*_longer(1.5), ("batch_size=16", "batch_size=8")),
    "last-batch-kept": one("drop_last=True", "drop_last=False"),
    "weight-norm": one(HEAD, f"nn.utils.parametrizations.weight_norm({HEAD})"),
    "cosine-restarts": _schedule("CosineAnnealingWarmRestarts(optimizer, cfg.steps // 3)"),
    "averaged-weights": (
        ("        history=[],\n", "        history=[],\n        average=torch.optim.swa_utils.AveragedModel(model),\n"),
        (STEP, f"{STEP}        run.average.update_parameters(run.model)\n"),
    ),
    "head-faster": _optimizer(
        "Adam(\n        [\n"
        '            {"params": [*model.stem.parameters(), *model.blocks.parameters()]},\n'
        '            {"params": model.head.parameters(), "lr": 2 * cfg.lr},\n'
        "        ],\n        lr=cfg.lr,\n    )"
    ),
}

PATCHES: dict[str, Patches] = DATA | LEDGER | LOOP | LOSS | ROWS | CONTROLS
