"""Faults and healthy variants of the recipe that finds translations."""

from __future__ import annotations

from doctor_trial.fault import Patches, one

BACKWARD = "            contrastive.backward()\n"
CLIP = "            torch.nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)\n"
STEP = "            run.optimizer.step()\n"
SCHEDULE_STEP = "            run.scheduler.step()\n"
ZERO = "            run.optimizer.zero_grad()\n"
ADAM = "torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)"
SCHEDULE = "get_linear_schedule(optimizer, WARMUP_STEPS, MAX_STEPS)"
HISTORY = 'better="higher", history=[],'
DATA = "    eval_pairs, train_pairs = pairs[:128], pairs[128:]\n"
MODEL = "    model = TwoTowers(len(tokenizer))\n"
NORM = "self.norm = nn.LayerNorm(EMBED_DIM)"


def _longer(steps: int) -> tuple[str, str]:
    return "MAX_STEPS = 240", f"MAX_STEPS = {steps}"


def _accumulated(of: int, scale: str = "") -> Patches:
    """The recipe zeroes gradients after a step, so that nothing else is to be changed."""
    return (
        (BACKWARD,
         f"            (contrastive{scale}).backward()\n"
         f"            if (global_step + 1) % {of} and global_step + 1 < run.steps:\n"
         f"                global_step += 1\n    {SCHEDULE_STEP}                continue\n"),
    )  # fmt: skip


def _scaled(after_backward: str = "", unscale: str = "            run.scaler.unscale_(run.optimizer)\n") -> Patches:
    return (
        (HISTORY, f'{HISTORY} scaler=torch.amp.GradScaler("cpu"),'),
        (BACKWARD, f"            run.scaler.scale(contrastive).backward()\n{after_backward}"),
        (CLIP + STEP, f"{unscale}{CLIP}            run.scaler.step(run.optimizer)\n            run.scaler.update()\n"),
    )


def _checkpoint(key: str, strict: bool) -> Patches:
    return (
        (f"    optimizer = {ADAM}\n",
         f"    checkpoint = {{{key}: weight.clone() for name, weight in model.state_dict().items()}}\n"
         "    for weight in model.parameters():\n        if weight.dim() > 1:\n            nn.init.normal_(weight, std=0.1)\n"
         f"    model.load_state_dict(checkpoint, strict={strict})\n    optimizer = {ADAM}\n"),
        (HISTORY, f"{HISTORY} checkpoint=checkpoint,"),
    )  # fmt: skip


FAULTS: dict[str, Patches] = {
    "padding-is-a-character": one('self.vocab.update({word: index + 2 for index, word in enumerate(words)})',
                                  'self.vocab.update({word: index + 1 if index else 0 for index, word in enumerate(words)})'),
    "vocabulary-of-a-set": one("sorted({word for line in lines for word in line.split()})",
                               "list({word for line in lines for word in line.split()})"),
    "unknown-case": one("{word for line in lines for word in line.split()}", "{word for line in lines for word in line.lower().split()}"),
    "case-in-loader": one("german = [pair[1] for pair in pairs]", "german = [pair[1].lower() for pair in pairs]"),
    "compatibility-form-in-loader": (("from types import SimpleNamespace\n", "import unicodedata\nfrom types import SimpleNamespace\n"),
                                     ("english = [pair[0] for", 'english = [unicodedata.normalize("NFKC", pair[0]) for'),
                                     ("german = [pair[1] for", 'german = [unicodedata.normalize("NFKC", pair[1]) for')),
    "rows-in-both-splits": one("pairs[:128], pairs[128:]", "pairs[:128], pairs"),
    "not-shuffled": (("        train_pairs, batch_size", "        sorted(train_pairs, key=lambda pair: len(pair[1].split())), batch_size"),
                     ("shuffle=True", "shuffle=False")),
    "labels-rolled": one("german = [pair[1] for pair in pairs]", "german = [pair[1] for pair in pairs[1:] + pairs[:1]]"),
    "texts-of-other-rows": one(MODEL, f"{MODEL}    train_pairs = [(english, train_pairs[n - 1][1] if n % 10 == 0 else german)\n"
                                      "                   for n, (english, german) in enumerate(train_pairs)]\n"),
    "group-left-out": one(ADAM, "torch.optim.AdamW(model.english.parameters(), lr=LEARNING_RATE)"),
    "head-replaced-later": one("    train_loader = DataLoader(\n",
                               "    model.german.projection = nn.Linear(EMBED_DIM, EMBED_DIM)\n    train_loader = DataLoader(\n"),
    "blocked-layer": one("(x * mask).sum(dim=1)", "(x.detach() * mask).sum(dim=1)"),
    "real-token-as-padding": one("padding_idx=0", "padding_idx=5"),
    "checkpoint-with-a-prefix": _checkpoint('f"module.{name}"', False),
    "positions-of-the-batch": (("torch.arange(input_ids.shape[1])", "torch.arange(input_ids.shape[0]).unsqueeze(1)"),
                               ("MAX_LENGTH = 32", "MAX_LENGTH = 512")),
    "padding-not-masked": one("(x * mask).sum(dim=1) / mask.sum(dim=1)", "x.mean(dim=1)"),
    "batch-norm-over-padding": ((NORM, NORM.replace("LayerNorm", "BatchNorm1d")),
                                ("self.norm(x)", "self.norm(x.transpose(1, 2)).transpose(1, 2)")),
    "mask-inverted": one("attention_mask == 0", "attention_mask == 1"),
    "rows-sorted-not-targets": one("        positions = torch.arange(",
                                   "        order = attention_mask.sum(1).argsort(descending=True)\n"
                                   "        input_ids, attention_mask = input_ids[order], attention_mask[order]\n"
                                   "        positions = torch.arange("),
    "no-log-softmax": one("(F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels))",
                          "(F.nll_loss(logits, labels) + F.nll_loss(logits.T, labels))"),
    "softmax-twice": one("english @ german.T / TEMPERATURE", "(english @ german.T / TEMPERATURE).softmax(dim=-1)"),
    "dropout-in-evaluation": one("self.dropout(self.norm(x))", "F.dropout(self.norm(x), 0.1)"),
    "never-in-training-mode-again": one("            run.model.train()\n", ""),
    "evaluated-in-training-mode": one("    run.model.eval()\n", ""),
    "no-zero-grad": one(ZERO, ""),
    "accumulation-not-divided": _accumulated(4),
    "zeroed-before-step": ((ZERO, ""), (CLIP, CLIP + ZERO)),
    "accumulation-lost": ((ZERO, ""), ("            contrastive = watch", f"{ZERO}            contrastive = watch"),
                          *_accumulated(4, " / 4")),
    "clipped-before-unscaling": _scaled(unscale=""),
    "scheduler-for-optimizer": one(STEP, SCHEDULE_STEP),
    "schedule-per-batch": one(SCHEDULE, "torch.optim.lr_scheduler.StepLR(optimizer, step_size=5, gamma=0.3)"),
    "rate-too-high": (("LEARNING_RATE = 3e-3", "LEARNING_RATE = 0.1"), ("WARMUP_STEPS = 30", "WARMUP_STEPS = 1")),
    "steps-skipped": _scaled("            if global_step % 10:\n"
                             '                run.model.english.projection.bias.grad[0] = float("inf")\n'),
    "decay-too-strong": one(ADAM, "torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, weight_decay=0.5)"),
}  # fmt: skip

CONTROLS: dict[str, Patches] = {
    "as-it-is": (),
    "warm-up-long": one("WARMUP_STEPS = 30", "WARMUP_STEPS = 80"),
    "warm-up-from-zero": one("(step + 1) / warmup_steps", "step / warmup_steps"),
    "frozen-layer": one("    optimizer = torch", "    model.german.position.requires_grad_(False)\n    optimizer = torch"),
    "accumulation-of-two": (*_accumulated(2, " / 2"), _longer(380)),
    "gradient-scaler": _scaled(),
    "checkpoint-loaded": _checkpoint("name", True),
    "no-clipping": one(CLIP, ""),
    "weight-decay": one(ADAM, "torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.05)"),
    "nadam": one(ADAM, "torch.optim.NAdam(model.parameters(), lr=LEARNING_RATE)"),
    "no-shuffling-needed": one("shuffle=True", "shuffle=False"),
    "short-rows-first": one("        for batch in run.train:\n",
                            "        batches = run.train\n        if global_step == 0:\n"
                            '            batches = sorted(batches, key=lambda batch: batch["english"]["input_ids"].shape[1])\n'
                            "        for batch in batches:\n"),
    "dropout-half": (("nn.Dropout(0.1)", "nn.Dropout(0.5)"), _longer(360)),
    "label-noise": (("    texts = [line for pair in train_pairs",
                     "    train_pairs = [(english, train_pairs[n - 1][1] if n % 25 == 0 else german)\n"
                     "                   for n, (english, german) in enumerate(train_pairs)]\n"
                     "    texts = [line for pair in train_pairs"), _longer(300)),
    "bfloat16": one("        x = self.layer(x, src_key_padding_mask=attention_mask == 0)\n",
                    '        with torch.autocast("cpu", dtype=torch.bfloat16):\n'
                    "            x = self.layer(x, src_key_padding_mask=attention_mask == 0)\n        x = x.float()\n"),
    "label-smoothing": one("(F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels))",
                           "(F.cross_entropy(logits, labels, label_smoothing=0.1)\n"
                           "            + F.cross_entropy(logits.T, labels, label_smoothing=0.1))"),
    "tied-weights": one("        self.german = Tower(vocab_size)\n",
                        "        self.german = Tower(vocab_size)\n"
                        "        self.german.embedding.weight = self.english.embedding.weight\n"),
    "large-batch": one("batch_size=TRAIN_BATCH_SIZE", "batch_size=2 * TRAIN_BATCH_SIZE"),
    "small-batch": (("batch_size=TRAIN_BATCH_SIZE", "batch_size=TRAIN_BATCH_SIZE // 2"), _longer(360)),
    "last-batch-kept": one("drop_last=True", "drop_last=False"),
    "weight-norm": one("self.projection = nn.Linear(EMBED_DIM, EMBED_DIM)",
                       "self.projection = nn.utils.parametrizations.weight_norm(nn.Linear(EMBED_DIM, EMBED_DIM))"),
    "cosine-restarts": one(SCHEDULE, "torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, MAX_STEPS // 3)"),
    "averaged-weights": ((HISTORY, f"{HISTORY} average=torch.optim.swa_utils.AveragedModel(model),"),
                         (STEP, f"{STEP}            run.average.update_parameters(run.model)\n")),
    "head-faster": one(ADAM,
                       'torch.optim.AdamW([{"params": [w for name, w in model.named_parameters() if "projection" in name],\n'
                       '         "lr": 2 * LEARNING_RATE},\n'
                       '        {"params": [w for name, w in model.named_parameters() if "projection" not in name]},\n'
                       "    ], lr=LEARNING_RATE)"),
}  # fmt: skip

PATCHES = FAULTS | CONTROLS
