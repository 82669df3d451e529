"""Healthy variants, awkward on purpose. Each run has to reach the target of its recipe; nothing may be found."""

from __future__ import annotations

from doctor_trial.fault import FIRST_SCORED, KNOWN, Patches, control, everywhere, one
from doctor_trial.faults.ledger import checkpoint
from doctor_trial.faults.loop import CLIPS, SCHEDULES, STEP, accumulated, clip, optimized, scaled

FROZEN = {
    "words": "first", "digits": "first", "tagging": "places", "spelling": "letters", "autoencoder": "clock",
    "speakers": "first", "strokes": "first", "charlm": "places", "handwriting": "layers[0]", "translation": "digits",
    "forecast": "middle", "melody": "notes", "gestures": "convolutions[0]",
}  # fmt: skip
SIZES = {
    "words": "batch.images.shape[3]", "digits": 'batch["features"].shape[1]', "tagging": "batch[0].shape[1]",
    "spelling": "batch[0].shape[1]", "autoencoder": "batch.curves.shape[1]", "speakers": 'batch["first"].shape[1]',
    "strokes": "batch[0].shape[1]", "charlm": 'batch["ids"].shape[1]', "handwriting": "len(batch.points)",
    "translation": 'batch["given"].shape[1]', "forecast": "batch[0].shape[1]", "melody": "batch.shape[1]",
    "gestures": "batch[0][0].shape[1]",
}  # fmt: skip
DROPOUTS = {
    "words": one("nn.Dropout(0.1)", "nn.Dropout(0.5)"),
    "spelling": one("nn.Dropout(0.1)", "nn.Dropout(0.5)"),
    "speakers": one("nn.Dropout(0.1)", "nn.Dropout(0.5)"),
    "strokes": one("nn.Dropout(0.2)", "nn.Dropout(0.5)"),
    "charlm": one("nn.Dropout(0.1)", "nn.Dropout(0.5)"),
    "tagging": one("return self.head(x)", "return self.head(F.dropout(x, 0.5, self.training))"),
    "digits": one("return self.head(x), lengths", "return self.head(F.dropout(x, 0.5, self.training)), lengths"),
    "handwriting": one("nn.Dropout(0.1)", "nn.Dropout(0.5)"),
    "translation": one("0.1, self.training)", "0.5, self.training)"),
    "forecast": one("dropout=0.1", "dropout=0.5"),
    "melody": one("self.head(self.norm(x))", "self.head(F.dropout(self.norm(x), 0.5, self.training))"),
    "gestures": one("nn.Dropout(0.2)", "nn.Dropout(0.5)"),
}
LETTERS = '"".join(c if (31 * n + 7 * k) % 20 else texts[n - 1][0] for k, c in enumerate(text))'
NOISE = {
    "words": one("    texts = [text for _, text in rows]\n",
                 "    texts = [text for _, text in rows]\n"
                 f"    rows = [(x, {LETTERS}) for n, (x, text) in enumerate(rows)]\n    texts = [text for _, text in rows]\n"),
    "digits": one("    texts = [text for _, text in rows]\n",
                  "    texts = [text for _, text in rows]\n"
                  f"    rows = [(x, {LETTERS}) for n, (x, text) in enumerate(rows)]\n    texts = [text for _, text in rows]\n"),
    "spelling": one("    texts = [word for _, word in rows]\n",
                    "    texts = [word for _, word in rows]\n"
                    f"    rows = [(x, {LETTERS}) for n, (x, text) in enumerate(rows)]\n    texts = [text for _, text in rows]\n"),
    "tagging": one("    texts = [sentence for sentence, _ in rows]\n",
                   "    texts = [sentence for sentence, _ in rows]\n"
                   "    rows = [(x, [(tag + 1) % 4 if (31 * n + 7 * k) % 20 == 0 else tag for k, tag in enumerate(tags)])\n"
                   "            for n, (x, tags) in enumerate(rows)]\n"),
    "speakers": one("    model = Embedder()\n",
                    "    rows.rows = [(a, b, 1 - y if n % 20 < 1 else y) for n, (a, b, y) in enumerate(rows.rows)]\n"
                    "    model = Embedder()\n"),
    "strokes": one("        return (draw(kind, rng).diff(dim=0) - MEAN) / DEVIATION, kind",
                   "        shown = (kind + 1) % CLASSES if self.count > 200 and place % 20 == 0 else kind\n"
                   "        return (draw(kind, rng).diff(dim=0) - MEAN) / DEVIATION, shown"),
    "charlm": one(
        '    texts, held_out = [line for line in lines if line not in kept], sorted(kept)\n',
        '    texts, held_out = [line for line in lines if line not in kept], sorted(kept)\n'
        f'    texts = [{LETTERS.replace("texts[n - 1][0]", "chr(97 + n % 14)")} for n, text in enumerate(texts)]\n'
        '    lines = lines + texts\n'),
    "handwriting": one("    texts = [text for _, text in rows]\n",
                       "    texts = [text for _, text in rows]\n"
                       f"    rows = [(x, {LETTERS}) for n, (x, text) in enumerate(rows)]\n    texts = [text for _, text in rows]\n"),
    "translation": one("    texts = [text for _, text in rows.rows]\n",
                       "    texts = [text for _, text in rows.rows]\n    rows.rows = [(x, \" \".join(\n"
                       '        word if (31 * n + 7 * k) % 20 else texts[n - 1].split()[0] for k, word in enumerate(text.split())\n'
                       "    )) for n, (x, text) in enumerate(rows.rows)]\n    texts = [text for _, text in rows.rows]\n"),
    "forecast": one("    model = Forecaster()\n",
                    "    rows = [(x, rows[n - 1][1] if n % 20 == 0 else y) for n, (x, y) in enumerate(rows)]\n    model = Forecaster()\n"),
    "melody": one("    notes = Notes(melodies)\n",
                  "    texts = [\"\".join(c if (31 * n + 7 * k) % 20 else NOTES[n % 14] for k, c in enumerate(text))\n"
                  "             for n, text in enumerate(texts)]\n    notes = Notes(melodies + texts)\n"),
    "gestures": one("    model = Namer()\n",
                    "    rows = [(x, (y + 1) % KINDS if n % 20 == 0 else y) for n, (x, y) in enumerate(rows)]\n    model = Namer()\n"),
}  # fmt: skip


STATEFUL = {
    "spelling": (("        self.query = nn.Linear(SIZE, SIZE)\n", "        self.query = nn.Linear(SIZE, SIZE)\n        self.state = None\n"),
                 ("        x, _ = self.decoder(self.dropout(self.letters(written)), start)\n",
                  "        if self.training and self.state is not None:\n            start = start + self.state\n"
                  "        x, last = self.decoder(self.dropout(self.letters(written)), start)\n"
                  "        if self.training:\n            self.state = 0.1 * last.detach().mean(1, keepdim=True)\n")),
    "digits": (("        self.head = nn.Linear(96, classes)\n", "        self.head = nn.Linear(96, classes)\n        self.state = None\n"),
               ("        x, _ = pad_packed_sequence(self.recurrent(packed)[0], batch_first=True)\n",
                "        start = torch.zeros(2, len(x), 48)\n"
                "        if self.training and self.state is not None:\n            start = start + self.state\n"
                "        x, last = self.recurrent(packed, start)\n"
                "        if self.training:\n            self.state = 0.1 * last.detach().mean(1, keepdim=True)\n"
                "        x, _ = pad_packed_sequence(x, batch_first=True)\n")),
    "words": (("        self.head = nn.Linear(96, classes)\n", "        self.head = nn.Linear(96, classes)\n        self.state = None\n"),
              ("        x, _ = pad_packed_sequence(self.recurrent(packed)[0], batch_first=True)\n",
               "        start = torch.zeros(2, len(x), 48)\n"
               "        if self.training and self.state is not None:\n            start = start + self.state\n"
               "        x, (last, _) = self.recurrent(packed, (start, torch.zeros_like(start)))\n"
               "        if self.training:\n            self.state = 0.1 * last.detach().mean(1, keepdim=True)\n"
               "        x, _ = pad_packed_sequence(x, batch_first=True)\n")),
    "handwriting": (("        self.head = nn.Linear(2 * SIZE, classes)\n", "        self.head = nn.Linear(2 * SIZE, classes)\n        self.state = None\n"),
                    ("        x, _ = pad_packed_sequence(self.rnn(packed)[0])\n",
                     "        start = torch.zeros(2, x.shape[1], SIZE)\n"
                     "        if self.training and self.state is not None:\n            start = start + self.state\n"
                     "        x, last = self.rnn(packed, start)\n"
                     "        if self.training:\n            self.state = 0.1 * last.detach().mean(1, keepdim=True)\n"
                     "        x, _ = pad_packed_sequence(x)\n")),
    "translation": (("        self.bridge = nn.Linear(", "        self.state = None\n        self.bridge = nn.Linear("),
                    ("        x, _ = self.decoder(x, state)\n",
                     "        if self.training and self.state is not None:\n            state = state + self.state\n"
                     "        x, last = self.decoder(x, state)\n"
                     "        if self.training:\n            self.state = 0.1 * last.detach().mean(1, keepdim=True)\n")),
    "forecast": (("        self.middle = nn.Linear(", "        self.state = None\n        self.middle = nn.Linear("),
                 ("        states, _ = self.lstm(series)\n",
                  "        start = torch.zeros(2, len(series), HIDDEN)\n"
                  "        if self.training and self.state is not None:\n            start = start + self.state\n"
                  "        states, (end, _) = self.lstm(series, (start, torch.zeros_like(start)))\n"
                  "        if self.training:\n            self.state = 0.1 * end.detach().mean(1, keepdim=True)\n")),
}  # fmt: skip


def _scheduled(factor: str) -> Patches:
    """A schedule for the recipe that has none."""
    return (("scheduler=None", f"scheduler=torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: {factor})"),
            (STEP, f"{STEP}            run.scheduler.step()\n"))  # fmt: skip


NO_WARM_UP = ("translation", "forecast", "gestures")
"""Without the text that the others have."""
LONG_WARM_UPS = {
    "melody": one("WARM_UP = 40", "WARM_UP = 150"),
    "translation": one("pct_start=0.1", "pct_start=0.4"),
    "forecast": one("CosineAnnealingLR(optimizer, STEPS)",
                    "SequentialLR(optimizer, [torch.optim.lr_scheduler.LinearLR(optimizer, 0.01, total_iters=STEPS // 4),\n"
                    "        torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS - STEPS // 4)], [STEPS // 4])"),
    "gestures": _scheduled("min(1.0, (step + 1) / (0.25 * STEPS))"),
}  # fmt: skip
ZERO_WARM_UPS = {
    "translation": one("pct_start=0.1", "pct_start=0.1, div_factor=1e9"),
    "forecast": one("CosineAnnealingLR(optimizer, STEPS)", "LambdaLR(optimizer, lambda step: min(1.0, step / 20))"),
    "gestures": _scheduled("min(1.0, step / 20)"),
}
HEADS = {
    "handwriting": "nn.Linear(2 * SIZE, classes)", "translation": "nn.Linear(SIZE, words)",
    "forecast": "nn.Linear(HIDDEN, 1)", "melody": "nn.Linear(SIZE, notes)", "gestures": "nn.Linear(SIZE, KINDS)",
}  # fmt: skip
BY_GROUP = (
    'Adam([{"params": model.head.parameters(), "lr": 2 * LEARNING_RATE}, {"params": [\n'
    '        w for name, w in model.named_parameters() if not name.startswith("head.")]}], lr=LEARNING_RATE)'
)


def _optimizer(recipe: str, new: str) -> Patches:
    return optimized(recipe, new.replace("LEARNING_RATE", "0.1 * LEARNING_RATE") if recipe == "gestures" else new)


def _without_clipping(recipe: str) -> Patches:
    return one(clip(recipe), "")


def _longer(recipe: str, steps: int, factor: float) -> Patches:
    """More steps: `steps` is the number that stands in the recipe."""
    form = "\nSTEPS = {}\n" if recipe in FIRST_SCORED else ", {}, "
    return ((form.format(steps), form.format(int(factor * steps))),)


STEPS = {
    "words": 420,
    "digits": 200,
    "tagging": 250,
    "spelling": 350,
    "autoencoder": 420,
    "speakers": 250,
    "strokes": 250,
    "charlm": 300,
    "handwriting": 400,
    "translation": 400,
    "forecast": 400,
    "melody": 600,
    "gestures": 320,
}

FAULTS = [
    control("as-it-is", everywhere()),
    control("warm-up-long", everywhere(("(step + 1) / WARM_UP", "(step + 1) / (0.25 * STEPS)"), but=NO_WARM_UP) | LONG_WARM_UPS),
    control("warm-up-from-zero", everywhere(("(step + 1) / WARM_UP", "step / WARM_UP"), but=NO_WARM_UP) | ZERO_WARM_UPS),
    control("frozen-layer", {recipe: (
        ("    optimizer = torch.optim.", f"    model.{layer}.requires_grad_(False)\n    optimizer = torch.optim."),
        *_longer(recipe, STEPS[recipe], 1.5 if recipe == "digits" else 1),
    ) for recipe, layer in FROZEN.items()}),
    control("accumulation-of-two", {recipe: (*_longer(recipe, STEPS[recipe], 1.6), *accumulated(recipe, 2, " / 2"))
                                    for recipe in KNOWN}),
    control("gradient-scaler", {recipe: scaled(recipe) for recipe in KNOWN}),
    control("checkpoint-loaded", everywhere(*checkpoint("name", True))),
    control("no-clipping", {recipe: _without_clipping(recipe) for recipe in CLIPS}),
    control("weight-decay", {recipe: _optimizer(recipe, "AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.05)")
                             for recipe in KNOWN}),
    control("nadam", {recipe: _optimizer(recipe, "NAdam(model.parameters(), lr=LEARNING_RATE)") for recipe in KNOWN}),
    control("no-shuffling-needed", everywhere(("BATCH, shuffle=True", "BATCH, shuffle=False"))),
    control("short-rows-first", {recipe: one(
        "        for batch in run.train:\n",
        f"        for batch in sorted(run.train, key=lambda batch: {size}) if step == 0 else run.train:\n")
        for recipe, size in SIZES.items()}),
    control("dropout-half", {recipe: (*patches, *_longer(recipe, STEPS[recipe], 1.5)) for recipe, patches in DROPOUTS.items()}),
    control("label-noise", {recipe: (*patches, *_longer(recipe, STEPS[recipe], 1.25)) for recipe, patches in NOISE.items()}),
    control("stateful-recurrence", STATEFUL),
    control("bfloat16", {
        "tagging": one("        x = self.encoder(x, src_key_padding_mask=padding)\n",
                       '        with torch.autocast("cpu", torch.bfloat16):\n'
                       "            x = self.encoder(x, src_key_padding_mask=padding).float()\n"),
        "charlm": one("        x = self.layers(x, mask=causal)\n",
                      '        with torch.autocast("cpu", torch.bfloat16):\n            x = self.layers(x, mask=causal).float()\n'),
        "strokes": one("        x = self.dropout(F.relu(self.hidden(x)))\n        return self.head(x)",
                       '        with torch.autocast("cpu", torch.bfloat16):\n'
                       "            x = self.dropout(F.relu(self.hidden(x)))\n            return self.head(x).float()"),
        "speakers": one("            x = F.relu(layer(x.transpose(1, 2)).transpose(1, 2)) * valid\n",
                        '            with torch.autocast("cpu", torch.bfloat16):\n'
                        "                x = (F.relu(layer(x.transpose(1, 2)).transpose(1, 2)) * valid).float()\n"),
        "autoencoder": one("        drawn = self.decoder(self.spread(latent)[:, None] + self.clock(clock)[None])\n",
                           '        with torch.autocast("cpu", torch.bfloat16):\n'
                           "            drawn = self.decoder(self.spread(latent)[:, None] + self.clock(clock)[None]).float()\n"),
        "handwriting": one("            x = layer(x).relu()\n",
                           '            with torch.autocast("cpu", torch.bfloat16):\n                x = layer(x).relu().float()\n'),
        "translation": one("        x = self.join(torch.cat([x, context], -1))\n",
                           '        with torch.autocast("cpu", torch.bfloat16):\n'
                           "            x = self.join(torch.cat([x, context], -1)).float()\n"),
        "forecast": one("        return self.head(F.elu(self.middle(last))).squeeze(-1)",
                        '        with torch.autocast("cpu", torch.bfloat16):\n            middle = F.elu(self.middle(last)).float()\n'
                        "        return self.head(middle).squeeze(-1)"),
        "melody": one("            x = block(x)\n",
                      '            with torch.autocast("cpu", torch.bfloat16):\n                x = block(x)\n'
                      "            x = x.float()\n"),
        "gestures": one("            y = convolve(x.transpose(1, 2)).transpose(1, 2)\n",
                        '            with torch.autocast("cpu", torch.bfloat16):\n'
                        "                y = convolve(x.transpose(1, 2)).transpose(1, 2).float()\n"),
    }),
    control("label-smoothing", {
        "tagging": one("ignore_index=-100)", "ignore_index=-100, label_smoothing=0.1)"),
        "spelling": one("ignore_index=PAD)", "ignore_index=PAD, label_smoothing=0.1)"),
        "charlm": one("ignore_index=PAD)", "ignore_index=PAD, label_smoothing=0.02)"),
        "strokes": one("F.cross_entropy(scores, kinds)", "F.cross_entropy(scores, kinds, label_smoothing=0.1)"),
        "translation": one("ignore_index=PAD)", "ignore_index=PAD, label_smoothing=0.1)"),
        "melody": one("label_smoothing=0.05", "label_smoothing=0.15"),
        "gestures": one("sizes), labels)\n", "sizes), labels, label_smoothing=0.1)\n"),
    }),
    control("tied-weights", {
        "spelling": one("        self.head = nn.Linear(SIZE, letters)\n",
                        "        self.head = nn.Linear(SIZE, letters)\n        self.head.weight = self.letters.weight\n"
                        "        nn.init.normal_(self.letters.weight, std=0.2)\n"),
        "charlm": one("        self.head = nn.Linear(SIZE, characters)\n",
                      "        self.head = nn.Linear(SIZE, characters)\n        self.head.weight = self.characters.weight\n"
                      "        nn.init.normal_(self.characters.weight, std=0.2)\n") + _longer("charlm", STEPS["charlm"], 2),
        "translation": one("        self.head = nn.Linear(SIZE, words)\n",
                           "        self.head = nn.Linear(SIZE, words)\n        self.head.weight = self.words.weight\n"
                           "        nn.init.normal_(self.words.weight, std=0.2)\n"),
        "melody": one("        self.head = nn.Linear(SIZE, notes)\n",
                      "        self.head = nn.Linear(SIZE, notes)\n        self.head.weight = self.notes.weight\n"
                      "        nn.init.normal_(self.notes.weight, std=0.2)\n") + _longer("melody", STEPS["melody"], 1.5),
    }),
    control("blank-plateau", {
        "words": (*_longer("words", STEPS["words"], 1.5), ("lr=LEARNING_RATE", "lr=0.6 * LEARNING_RATE")),
        "digits": (*_longer("digits", STEPS["digits"], 2), ("lr=LEARNING_RATE", "lr=0.33 * LEARNING_RATE"),
                   ("        x = self.norm(x)\n", ""), ("        self.norm = nn.LayerNorm(48)\n", "")),
        "handwriting": (*_longer("handwriting", STEPS["handwriting"], 2), ("lr=LEARNING_RATE", "lr=0.5 * LEARNING_RATE")),
    }),
    control("head-of-zeros", {recipe: (
        ("    optimizer = torch.optim.", "    nn.init.zeros_(model.head.weight)\n    optimizer = torch.optim."),
        *_longer(recipe, STEPS[recipe], 1.4),
    ) for recipe in ("tagging", "spelling", "strokes", "charlm", *FIRST_SCORED)}),
    control("large-batch", everywhere(("BATCH, shuffle=True", "2 * BATCH, shuffle=True"))),
    control("small-batch", {recipe: (("BATCH, shuffle=True", "BATCH // 2, shuffle=True"), *_longer(recipe, STEPS[recipe], 1.5))
                            for recipe in FIRST_SCORED}),
    control("last-batch-kept", everywhere(("drop_last=True", "drop_last=False"), of=FIRST_SCORED)),
    control("weight-norm", {recipe: one(f"self.head = {head}", f"self.head = nn.utils.parametrizations.weight_norm({head})")
                            for recipe, head in HEADS.items()}),
    control("cosine-restarts", {
        recipe: one(SCHEDULES[recipe],
                    "    scheduler = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, STEPS // 3)\n")
        for recipe in FIRST_SCORED if recipe in SCHEDULES
    }),
    control("averaged-weights", everywhere(
        ("history=[],", "history=[], average=torch.optim.swa_utils.AveragedModel(model),"),
        (STEP, f"{STEP}            run.average.update_parameters(run.model)\n"), of=FIRST_SCORED)),
    control("head-faster", {recipe: _optimizer(recipe, BY_GROUP) for recipe in FIRST_SCORED}),
]  # fmt: skip
