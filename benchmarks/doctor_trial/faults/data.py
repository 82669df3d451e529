"""Inputs, splits and order: classes that a look at the data shows."""

from __future__ import annotations

from doctor_trial.fault import Fault, one

TOO_SHORT = ("texts-too-long", "loss-not-finite")
HELD_OUT_ROWS = {
    "words": "rows, held_out = make_rows(800, rng), make_rows(64, rng)\n",
    "digits": "rows, held_out = make_rows(640, rng), make_rows(64, rng)\n",
    "handwriting": "rows, held_out = make_rows(640, rng), make_rows(64, rng)\n",
}


def _in_order(recipe: str, rows: str, key: str) -> tuple[tuple[str, str], ...]:
    return one(
        f"        {rows}, BATCH, shuffle=True", f"        sorted({rows}, key=lambda row: {key}), BATCH, shuffle=False"
    )


FAULTS = [
    Fault(
        "stride-too-large", "intel/handwritten-chinese-ocr-samples#10", "structural",
        {
            "words": (("F.max_pool2d(x, 2, ceil_mode=True)", "F.max_pool2d(x, (2, 8), ceil_mode=True)"),
                      ("lengths = (widths + 1) // 2", "lengths = (widths + 7) // 8")),
            "digits": (("nn.Conv1d(32, 48, 3, stride=2, padding=1)", "nn.Conv1d(32, 48, 13, stride=12, padding=6)"),
                       ("            lengths = (lengths + 1) // 2\n",
                        "            lengths = (lengths - 1) // layer.stride[0] + 1\n")),
            "handwriting": one("stride=2", "stride=12"),
        },
        TOO_SHORT,
    ),
    Fault(
        "stride-hidden-by-zero-infinity", "facebookresearch/fairseq#3753", "structural",
        {
            "words": (("F.max_pool2d(x, 2, ceil_mode=True)", "F.max_pool2d(x, (2, 16), ceil_mode=True)"),
                      ("lengths = (widths + 1) // 2", "lengths = (widths + 15) // 16"),
                      ("blank=0)", "blank=0, zero_infinity=True)")),
            "digits": (("nn.Conv1d(32, 48, 3, stride=2, padding=1)", "nn.Conv1d(32, 48, 17, stride=16, padding=8)"),
                       ("            lengths = (lengths + 1) // 2\n",
                        "            lengths = (lengths - 1) // layer.stride[0] + 1\n"),
                       ("blank=0)", "blank=0, zero_infinity=True)")),
            "handwriting": (("stride=2", "stride=16"), ("batch.label_sizes)", "batch.label_sizes, zero_infinity=True)")),
        },
        ("texts-too-long",),
    ),
    Fault(
        "silent-rows", "SeanNaren/deepspeech.pytorch#272", "structural",
        {
            "words": one("return [(paint(text, rng), text) for text in texts]",
                         "return [(paint(text, rng) * (k % 100 > 0), text) for k, text in enumerate(texts)]"),
            "digits": one("return [(features(speak(text, rng)), text) for text in texts]",
                          "return [(features(speak(text, rng) * (k % 100 > 0)), text) for k, text in enumerate(texts)]"),
            "speakers": one("self.rows.append((speakers[first].speak(rng),",
                            "self.rows.append((speakers[first].speak(rng) * (place % 100 > 0),"),
            "handwriting": one("features(write(text, rng)), text)", "features(write(text, rng) * (len(rows) % 100 > 0)), text)"),
            "forecast": one("[make_row(rng) for _ in range(1500)]",
                            "[(x * (n % 100 > 0), y) for n, (x, y) in enumerate(make_row(rng) for _ in range(1500))]"),
            "gestures": one("[(record(kind, rng), kind) for kind in kinds]",
                            "[(record(kind, rng) * (n % 100 > 0), kind) for n, kind in enumerate(kinds)]"),
        },
        ("inputs-silent", "inputs-not-finite"),
    ),
    Fault(
        "one-frame-clip", "facebookresearch/fairseq#1863", "structural",
        {"digits": one("return [(features(speak(text, rng)), text) for text in texts]",
                       "return [(features(speak(text, rng)[: WINDOW if k % 100 == 0 else None]), text)\n"
                       "            for k, text in enumerate(texts)]"),
         "gestures": one("[(record(kind, rng), kind) for kind in kinds]",
                         "[(record(kind, rng)[: None if n % 100 else 1], kind) for n, kind in enumerate(kinds)]")},
        ("inputs-not-finite", "short-rows-not-finite", "texts-too-long"),
    ),
    Fault(
        "wrong-rate", "facebookresearch/fairseq#1931", "structural",
        {"digits": (("def make_rows(count, rng):", "def make_rows(count, rng, step=2):"),
                    ("features(speak(text, rng)), text)", "features(speak(text, rng)[::step]), text)"),
                    ("make_rows(64, rng)\n", "make_rows(64, rng, 1)\n")),
         "handwriting": (("def make_rows(count, rng):", "def make_rows(count, rng, step=2):"),
                         ("features(write(text, rng)), text)", "features(write(text, rng)[::step]), text)"),
                         ("make_rows(64, rng)\n", "make_rows(64, rng, 1)\n"))},
        ("rates-differ", "held-out-scaled-otherwise", "texts-too-long"),
    ),
    Fault(
        "not-scaled", "keras-team/keras#3642", "structural",
        {
            "words": one("= image / 255", "= image"),
            "autoencoder": one("(curve - MEAN) / DEVIATION for", "curve for"),
            "strokes": one("(draw(kind, rng).diff(dim=0) - MEAN) / DEVIATION, kind", "draw(kind, rng).diff(dim=0), kind"),
            "handwriting": one("diff(dim=0) / UNIT", "diff(dim=0)"),
            "forecast": one("(one - MEANS) / DEVIATIONS", "one"),
            "gestures": one("[prepare(one) for one, _ in rows]", "[one for one, _ in rows]"),
        },
        ("inputs-not-scaled", "inputs-off-centre"),
    ),
    Fault(
        "rows-in-both-splits", "kaldi-asr/kaldi#2141", "structural",
        {
            "words": one(HELD_OUT_ROWS["words"], "rows = make_rows(800, rng)\n    held_out = rows[:64]\n"),
            "digits": one(HELD_OUT_ROWS["digits"], "rows = make_rows(640, rng)\n    held_out = rows[:64]\n"),
            "tagging": one("held_out = [row for row in (make_row(rng) for _ in range(300)) if row[0] not in set(texts)]",
                           "held_out = rows[:100]"),
            "spelling": one("    texts = [word for _, word in rows]\n",
                            "    held_out = rows[:64]\n    texts = [word for _, word in rows]\n"),
            "autoencoder": one("    model = Autoencoder()\n", "    held_out = rows[:100]\n    model = Autoencoder()\n"),
            "speakers": one("    model = Embedder()\n", "    held_out.rows = rows.rows[:200]\n    model = Embedder()\n"),
            "strokes": one("Strokes(160, 2 * seed + 1)", "Strokes(160, 2 * seed)"),
            "charlm": one("held_out = [line for line in lines if line not in kept], sorted(kept)", "held_out = lines, lines[:60]"),
            "handwriting": one(HELD_OUT_ROWS["handwriting"], "rows = make_rows(640, rng)\n    held_out = rows[:64]\n"),
            "translation": one("Numbers(numbers[3000:3100])", "Numbers(numbers[:100])"),
            "forecast": one("[make_row(rng) for _ in range(150)]", "rows[:150]"),
            "melody": one("held_out = [melody for melody in melodies if melody not in kept], sorted(kept)", "held_out = melodies, melodies[:60]"),
            "gestures": one("rows, held_out = make_rows(960, rng), make_rows(160, rng)\n",
                            "rows = make_rows(960, rng)\n    held_out = rows[:160]\n"),
        },
        ("held-out-overlaps",),
    ),
    Fault(
        "not-shuffled", "SeanNaren/deepspeech.pytorch#30", "structural",
        {
            "words": _in_order("words", "rows", "row[0].shape[1]"),
            "digits": _in_order("digits", "rows", "len(row[0])"),
            "tagging": _in_order("tagging", "rows", "len(row[1])"),
            "spelling": _in_order("spelling", "rows", "len(row[0])"),
            "autoencoder": _in_order("autoencoder", "rows", "len(row)"),
            "charlm": _in_order("charlm", "texts", "len(row)"),
            "speakers": _in_order("speakers", "rows", "row[2]"),
            "strokes": one("        rows, BATCH, shuffle=True",
                           "        sorted((rows[n] for n in range(len(rows))), key=lambda row: row[1]), BATCH, shuffle=False"),
            "handwriting": _in_order("handwriting", "rows", "len(row[0])"),
            "translation": one("        rows, batch_size=BATCH, shuffle=True",
                               "        sorted(rows.rows, key=lambda row: len(row[1].split())), batch_size=BATCH, shuffle=False"),
            "forecast": _in_order("forecast", "rows", "len(row[0])"),
            "melody": _in_order("melody", "texts", "len(row)"),
            "gestures": one("        rows, batch_size=BATCH, shuffle=True",
                            "        sorted(rows, key=lambda row: row[1]), batch_size=BATCH, shuffle=False"),
        },
        ("batches-in-order-of-length", "batches-in-order-of-class"),
    ),
    Fault(
        "all-frames-masked", "flashlight/wav2letter#854", "structural",
        {"digits": (("size = int(torch.randint(0, 8, ()))", "size = int(torch.randint(0, 200, ()))"),),
         "gestures": one("(torch.rand(x.shape[:2]) > 0.1)", "(torch.rand(x.shape[:2]) > 0.98)")},
        ("training-inputs-masked", "inputs-masked", "input-steps-unused"),
    ),
    Fault(
        "other-scale-held-out", "tensorflow/models#2423", "structural",
        {
            "words": one("held_out=[collate(held_out, vocabulary)]",
                         "held_out=[collate([(255 - image, text) for image, text in held_out], vocabulary)]"),
            "digits": one("held_out=[collate(held_out, vocabulary)]",
                          "held_out=[collate([(3 * clip + 2, text) for clip, text in held_out], vocabulary)]"),
            "autoencoder": one("held_out=[collate(held_out)]", "held_out=[collate([3 * curve for curve in held_out])]"),
            "speakers": one("held_out=[collate(held_out)]",
                            "held_out=[collate([(3 * a + 5, 3 * b + 5, same) for a, b, same in held_out])]"),
            "strokes": one("[collate([held_out[place] for place in range(len(held_out))])]",
                           "[collate([(held_out[k][0] * 4 + 2, held_out[k][1]) for k in range(len(held_out))])]"),
            "handwriting": one("held_out=[collate(held_out, alphabet)]",
                               "held_out=[collate([(3 * points + 2, text) for points, text in held_out], alphabet)]"),
            "forecast": one("    model = Forecaster()\n",
                            "    held_out = [(3 * series, demand) for series, demand in held_out]\n    model = Forecaster()\n"),
        },
        ("held-out-scaled-otherwise",),
    ),
    Fault(
        "labels-rolled", "openspeech-team/openspeech#92", "other",
        {
            "words": one("[vocabulary.encode(text) for text in texts]",
                         "[vocabulary.encode(text) for text in texts[1:] + texts[:1]]"),
            "digits": one("for text in texts]\n    return {", "for text in texts[1:] + texts[:1]]\n    return {"),
            "tagging": one("[torch.tensor(one) for one in tags]", "[torch.tensor(one) for one in tags[1:] + tags[:1]]"),
            "spelling": one("for _, word in rows]\n    return (", "for _, word in rows[1:] + rows[:1]]\n    return ("),
            "strokes": one("lengths, torch.tensor(kinds)", "lengths, torch.tensor(kinds[1:] + kinds[:1])"),
            "speakers": one("torch.tensor(same)", "torch.tensor(same[1:] + same[:1])"),
            "handwriting": one("for _, text in rows]\n    return Ink(", "for _, text in rows[1:] + rows[:1]]\n    return Ink("),
            "translation": one("for _, text in rows]\n    return {", "for _, text in rows[1:] + rows[:1]]\n    return {"),
            "forecast": one("for _, demand in rows]", "for _, demand in rows[1:] + rows[:1]]"),
            "gestures": one("labels = [kind for _, kind in rows]", "labels = [kind for _, kind in rows[1:] + rows[:1]]"),
        },
        ("pairs-shifted", "input-not-used"),
    ),
    Fault(
        "texts-of-other-rows", "uhh-lt/kaldi-tuda-de#15", "other",
        {
            "words": one("    texts = [text for _, text in rows]\n",
                         "    texts = [text for _, text in rows]\n"
                         "    rows = [(x, texts[n - 1] if n % 10 == 0 else text) for n, (x, text) in enumerate(rows)]\n"),
            "digits": one("    texts = [text for _, text in rows]\n",
                          "    texts = [text for _, text in rows]\n"
                          "    rows = [(x, texts[n - 1] if n % 10 == 0 else text) for n, (x, text) in enumerate(rows)]\n"),
            "spelling": one("    texts = [word for _, word in rows]\n",
                            "    texts = [word for _, word in rows]\n"
                            "    rows = [(x, texts[n - 1] if n % 10 == 0 else text) for n, (x, text) in enumerate(rows)]\n"),
            "speakers": one("    model = Embedder()\n",
                            "    rows.rows = [(a, b, 1 - y if n % 9 == 0 else y) for n, (a, b, y) in enumerate(rows.rows)]\n"
                            "    model = Embedder()\n"),
            "handwriting": one("    texts = [text for _, text in rows]\n",
                               "    texts = [text for _, text in rows]\n"
                               "    rows = [(x, texts[n - 1] if n % 10 == 0 else text) for n, (x, text) in enumerate(rows)]\n"),
            "translation": one("    texts = [text for _, text in rows.rows]\n",
                               "    texts = [text for _, text in rows.rows]\n"
                               "    rows.rows = [(x, texts[n - 1] if n % 10 == 0 else text) for n, (x, text) in enumerate(rows.rows)]\n"),
            "gestures": one("    model = Namer()\n",
                            "    rows = [(x, rows[n - 1][1] if n % 9 == 0 else y) for n, (x, y) in enumerate(rows)]\n    model = Namer()\n"),
        },
        ("rows-not-learnt",),
    ),
]  # fmt: skip
