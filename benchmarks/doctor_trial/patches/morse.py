"""Faults and healthy variants of the recipe that copies Morse code."""

from __future__ import annotations

from doctor_trial.fault import Patches, one

BACKWARD = "        ctc.backward()\n"
CLIP = "        nn.utils.clip_grad_norm_(run.model.parameters(), CFG.max_norm)\n"
STEP = "        run.optimizer.step()\n"
SCHEDULE_STEP = "        run.scheduler.step()\n"
ZERO = "        run.optimizer.zero_grad()\n"
ADAM = "torch.optim.AdamW(model.parameters(), lr=CFG.lr, weight_decay=1e-3)"
SCHEDULE = "torch.optim.lr_scheduler.LambdaLR(optimizer, lr_factor)"
HISTORY = "        history=[],\n"
ITEM = "            self.items.append((normalize(levels), text))\n"
TEXTS = "    texts = [text for _, text in train_set.items]\n"
ENCODE = "self.tokenizer.encode(text)"
MASK = "            mask = mask[:, ::2]\n"
PACK = "        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)\n"
UNPACK = "        x, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True)\n"
GRU = "nn.GRU(CFG.width, CFG.width, batch_first=True, bidirectional=True)"
HEAD = "        self.classifier = nn.Linear(2 * CFG.width, num_classes)\n"
SECOND = "kernel_size=9, stride=2, padding=4"


def _longer(steps: int) -> tuple[str, str]:
    return "steps: int = 360", f"steps: int = {steps}"


def _accumulated(of: int, scale: str = "") -> Patches:
    return (
        (ZERO, f"        if step % {of} == 1:\n            run.optimizer.zero_grad()\n"),
        (BACKWARD, f"        (ctc{scale}).backward()\n        if step % {of} and step < run.steps:\n"
                   "            run.scheduler.step()\n            continue\n"),
    )  # fmt: skip


def _scaled(after_backward: str = "", unscale: str = "        run.scaler.unscale_(run.optimizer)\n") -> Patches:
    return (
        (HISTORY, f'{HISTORY}        scaler=torch.amp.GradScaler("cpu"),\n'),
        (BACKWARD, f"        run.scaler.scale(ctc).backward()\n{after_backward}"),
        (CLIP + STEP, f"{unscale}{CLIP}        run.scaler.step(run.optimizer)\n        run.scaler.update()\n"),
    )


def _checkpoint(key: str, strict: bool) -> Patches:
    return (
        (f"    optimizer = {ADAM}\n",
         f"    checkpoint = {{{key}: tensor.clone() for name, tensor in model.state_dict().items()}}\n"
         "    for parameter in model.parameters():\n        if parameter.dim() > 1:\n            nn.init.normal_(parameter, std=0.1)\n"
         f"    model.load_state_dict(checkpoint, strict={strict})\n    optimizer = {ADAM}\n"),
        (HISTORY, f"{HISTORY}        checkpoint=checkpoint,\n"),
    )  # fmt: skip


def _stride(stride: int, kernel: int) -> Patches:
    """Of the second convolution."""
    return (
        (SECOND, f"kernel_size={kernel}, stride={stride}, padding={kernel // 2}"),
        (MASK, "            mask = mask[:, :: conv.stride[0]]\n"),
    )


FAULTS: dict[str, Patches] = {
    "blank-elsewhere": one("nn.CTCLoss(blank=BLANK)", "nn.CTCLoss(blank=len(MORSE) + 1)"),
    "vocabulary-of-a-set": one('sorted(set("".join(transcripts)))', 'list(set("".join(transcripts)))'),
    "unknown-case": one('sorted(set("".join(transcripts)))', 'sorted(set("".join(transcripts).lower()))'),
    "case-in-loader": one(ENCODE, "self.tokenizer.encode(text.lower())"),
    "reversed-texts": one(ENCODE, "self.tokenizer.encode(text[::-1])"),
    "stride-too-large": _stride(12, 13),
    "stride-hidden-by-zero-infinity": (*_stride(16, 17), ("nn.CTCLoss(blank=BLANK)", "nn.CTCLoss(blank=BLANK, zero_infinity=True)")),
    "silent-rows": one(ITEM, "            if len(self.items) % 100 == 0:\n                levels = torch.full_like(levels, -70.0)\n" + ITEM),
    "one-frame-clip": one(ITEM, "            if len(self.items) % 100 == 0:\n                levels = levels[:1]\n" + ITEM),
    "wrong-rate": (("def __init__(self, size: int, rng: torch.Generator)", "def __init__(self, size: int, rng: torch.Generator, every: int = 2)"),
                   (ITEM, ITEM.replace("normalize(levels)", "normalize(levels[::every])")),
                   ("Messages(CFG.test_size, rng)", "Messages(CFG.test_size, rng, every=1)")),
    "not-scaled": one(ITEM, ITEM.replace("normalize(levels)", "levels")),
    "rows-in-both-splits": one("    test_set = Messages(CFG.test_size, rng)\n",
                               "    test_set = torch.utils.data.Subset(train_set, range(CFG.test_size))\n"
                               "    test_set.items = train_set.items[: CFG.test_size]\n"),
    "not-shuffled": (("    loader = DataLoader(", "    train_set.items.sort(key=lambda item: len(item[0]))\n    loader = DataLoader("),
                     ("shuffle=True", "shuffle=False")),
    "all-frames-masked": one("longest: int = 6", "longest: int = 400"),
    "other-scale-held-out": (
        ("def __init__(self, size: int, rng: torch.Generator)", "def __init__(self, size: int, rng: torch.Generator, scale=normalize)"),
        (ITEM, ITEM.replace("normalize(levels)", "scale(levels)")),
        ("Messages(CFG.test_size, rng)", "Messages(CFG.test_size, rng, scale=lambda levels: (levels + 60) / 3)"),
    ),
    "labels-rolled": one("for _, text in items]\n        return {", "for _, text in items[-1:] + items[:-1]]\n        return {"),
    "texts-of-other-rows": one(TEXTS, f"{TEXTS}    train_set.items = [\n"
                                      "        (x, texts[i - 1] if i % 10 == 0 else text) for i, (x, text) in enumerate(train_set.items)\n    ]\n"),
    "group-left-out": one(ADAM, "torch.optim.AdamW([*model.rnn.parameters(), *model.classifier.parameters()], lr=CFG.lr, weight_decay=1e-3)"),
    "head-replaced-later": one("    loader = DataLoader(",
                               "    model.classifier = nn.Linear(2 * CFG.width, tokenizer.num_classes)\n    loader = DataLoader("),
    "blocked-layer": one("self.norm(x.transpose(1, 2))", "self.norm(x.transpose(1, 2).detach())"),
    "head-too-small": one("len(self.alphabet) + 2", "len(self.alphabet) + 1"),
    "checkpoint-with-a-prefix": _checkpoint('f"module.{name}"', False),
    "gates-closed": ((GRU, "nn.LSTM(CFG.width, CFG.width, 4, batch_first=True, bidirectional=True)"),
                     (HEAD, "        for name, bias in self.rnn.named_parameters():\n            if \"bias_ih\" in name:\n"
                            "                nn.init.constant_(bias[: 2 * CFG.width], -2.0)  # input and forget gates\n" + HEAD)),
    "lengths-before-subsampling": (("        for conv in self.stem:\n", "        frames = mask.sum(1)\n        for conv in self.stem:\n"),
                                   ("lengths = mask.sum(1)", "lengths = frames.clamp(max=x.shape[1])")),
    "lengths-halved-twice": one("        return logits.log_softmax(-1), lengths\n", "        return logits.log_softmax(-1), lengths // 2\n"),
    "mask-by-slicing": ((MASK, "            mask = mask[:, :-2:2]\n"), ("x = x * mask[:, None]", "x = x[:, :, : mask.shape[1]] * mask[:, None]")),
    "axes-mixed": one("x = signal.transpose(1, 2)", "x = signal.reshape(len(signal), CFG.channels, -1)"),
    "recurrence-over-batch": ((GRU, GRU.replace("batch_first=True, ", "")), (PACK, ""), (UNPACK, "        x, _ = self.rnn(x)\n")),
    "padding-not-masked": (('"signal": pad_sequence(signals, batch_first=True)', '"signal": pad_sequence(signals, batch_first=True, padding_value=-4.0)'),
                           ("            x = x * mask[:, None]\n", "")),
    "batch-norm-over-padding": (("nn.LayerNorm(CFG.width)", "nn.BatchNorm1d(CFG.width)"),
                                ("self.norm(x.transpose(1, 2))", "self.norm(x).transpose(1, 2)")),
    "statistics-of-the-batch": one("        x = signal.transpose(1, 2)\n",
                                   "        signal = (signal - signal.mean((0, 1))) / signal.std((0, 1))\n        x = signal.transpose(1, 2)\n"),
    "rows-sorted-not-targets": one("        x = signal.transpose(1, 2)\n",
                                   "        order = mask.sum(1).argsort(descending=True)\n        signal, mask = signal[order], mask[order]\n"
                                   "        x = signal.transpose(1, 2)\n"),
    "no-log-softmax": one("return logits.log_softmax(-1), lengths", "return logits, lengths"),
    "softmax-twice": one("logits.log_softmax(-1)", "logits.softmax(-1).log_softmax(-1)"),
    "relu-head": one("logits = self.classifier(x)", "logits = torch.relu(self.classifier(x))"),
    "dropout-in-evaluation": one("self.dropout(self.norm(", "nn.functional.dropout(input=self.norm("),
    "never-in-training-mode-again": one("        run.model.train()\n", ""),
    "evaluated-in-training-mode": one("    run.model.eval()\n", ""),
    "no-zero-grad": one(ZERO, ""),
    "accumulation-not-divided": _accumulated(4),
    "zeroed-before-step": ((ZERO, ""), (STEP, ZERO + STEP)),
    "accumulation-lost": _accumulated(4, " / 4")[1:],
    "clipped-before-unscaling": _scaled(unscale=""),
    "scheduler-for-optimizer": one(STEP, SCHEDULE_STEP),
    "schedule-per-batch": one(SCHEDULE, "torch.optim.lr_scheduler.StepLR(optimizer, step_size=4, gamma=0.3)"),
    "rate-too-high": (("lr: float = 5e-3", "lr: float = 0.25"), ("warmup: int = 20", "warmup: int = 1")),
    "steps-skipped": _scaled('        if step % 10:\n            run.model.stem[0].weight.grad[0] = float("inf")\n'),
    "decay-too-strong": one(ADAM, "torch.optim.Adam(model.parameters(), lr=CFG.lr, weight_decay=0.5)"),
}  # fmt: skip

CONTROLS: dict[str, Patches] = {
    "as-it-is": (),
    "warm-up-long": (("warmup: int = 20", "warmup: int = 80"), _longer(440)),
    "warm-up-from-zero": one("return (step + 1) / CFG.warmup", "return step / CFG.warmup"),
    "frozen-layer": (("    optimizer = torch", "    model.stem[0].requires_grad_(False)\n    optimizer = torch"), _longer(440)),
    "accumulation-of-two": (*_accumulated(2, " / 2"), _longer(640)),
    "gradient-scaler": _scaled(),
    "checkpoint-loaded": _checkpoint("name", True),
    "no-clipping": one(CLIP, ""),
    "weight-decay": one("weight_decay=1e-3", "weight_decay=0.05"),
    "nadam": one(ADAM, "torch.optim.NAdam(model.parameters(), lr=CFG.lr)"),
    "no-shuffling-needed": one("shuffle=True", "shuffle=False"),
    "short-rows-first": one("itertools.repeat(run.train))\n",
                            "itertools.repeat(run.train))\n"
                            '    batches = itertools.chain(sorted(run.train, key=lambda batch: batch["mask"].shape[1]), batches)\n'),
    "dropout-half": (("dropout: float = 0.1", "dropout: float = 0.5"), _longer(540)),
    "label-noise": ((TEXTS, "    train_set.items = [\n"
                            '        (x, "".join(c if (31 * i + 7 * k) % 25 else "AEIMNOST"[i % 8] for k, c in enumerate(text)))\n'
                            "        for i, (x, text) in enumerate(train_set.items)\n    ]\n" + TEXTS), _longer(480)),
    "stateful-recurrence": (
        (HEAD, f"{HEAD}        self.state = None\n"),
        (UNPACK, "        state = torch.zeros(2, len(x), CFG.width)\n"
                 "        if self.training and self.state is not None:\n            state = state + self.state\n"
                 "        packed, last = self.rnn(packed, state)\n"
                 "        if self.training:\n            self.state = 0.1 * last.detach().mean(1, keepdim=True)\n"
                 "        x, _ = pad_packed_sequence(packed, batch_first=True)\n"),
    ),
    "bfloat16": one("            x = torch.relu(conv(x))\n",
                    '            with torch.autocast("cpu", torch.bfloat16):\n                x = torch.relu(conv(x))\n            x = x.float()\n'),
    "blank-plateau": (("lr: float = 5e-3", "lr: float = 3e-3"), _longer(640)),
    "head-of-zeros": (("    optimizer = torch", "    nn.init.zeros_(model.classifier.weight)\n    optimizer = torch"), _longer(460)),
    "large-batch": one("batch_size=CFG.batch_size", "batch_size=2 * CFG.batch_size"),
    "small-batch": (("batch_size=CFG.batch_size", "batch_size=CFG.batch_size // 2"), _longer(500)),
    "last-batch-kept": one("drop_last=True", "drop_last=False"),
    "weight-norm": one("nn.Linear(2 * CFG.width, num_classes)", "nn.utils.parametrizations.weight_norm(nn.Linear(2 * CFG.width, num_classes))"),
    "cosine-restarts": one(SCHEDULE, "torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, CFG.steps // 3)"),
    "averaged-weights": ((HISTORY, f"{HISTORY}        average=torch.optim.swa_utils.AveragedModel(model),\n"),
                         (STEP, f"{STEP}        run.average.update_parameters(run.model)\n")),
    "head-faster": one(ADAM,
                       'torch.optim.AdamW([{"params": model.classifier.parameters(), "lr": 2 * CFG.lr}, {"params": [\n'
                       '        w for name, w in model.named_parameters() if not name.startswith("classifier")]}], lr=CFG.lr)'),
}  # fmt: skip

PATCHES = FAULTS | CONTROLS
