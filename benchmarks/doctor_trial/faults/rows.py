"""What reaches a row: padding, other rows, lengths, places of the wrong axis."""

from __future__ import annotations

from doctor_trial.fault import Fault, one

ALONE = ("row-depends-on-batch", "padding-reaches-rows", "outputs-depend-on-order")
LENGTHS = ("lengths-depend-on-batch", "lengths-wrong", "input-steps-unused", "outputs-past-lengths", "texts-too-long")
ORDER = ("outputs-depend-on-order", "loss-depends-on-order")

FAULTS = [
    Fault(
        "lengths-before-subsampling", "ShankHarinath/DeepSpeech2-Keras#3", "structural",
        {
            "words": one("F.log_softmax(self.head(x), -1), lengths", "F.log_softmax(self.head(x), -1), widths.clamp(max=x.shape[1])"),
            "digits": (("        for layer in (self.first, self.second):", "        given = lengths\n        for layer in (self.first, self.second):"),
                       ("return self.head(x), lengths", "return self.head(x), given.clamp(max=x.shape[1])")),
            "handwriting": (("        for layer in self.layers:", "        given = sizes\n        for layer in self.layers:"),
                            ("log_softmax(-1), sizes", "log_softmax(-1), given.clamp(max=len(x))")),
        },
        (*LENGTHS, "row-depends-on-batch"),
    ),
    Fault(
        "lengths-halved-twice", "openspeech-team/openspeech#76", "structural",
        {"words": one("lengths = (widths + 1) // 2", "lengths = (widths + 3) // 4"),
         "digits": one("return self.head(x), lengths", "return self.head(x), lengths // 2"),
         "handwriting": one("log_softmax(-1), sizes", "log_softmax(-1), (sizes + 1) // 2")},
        (*LENGTHS, "loss-not-finite"),
    ),
    Fault(
        "mask-by-slicing", "espnet/espnet#6600", "structural",
        {
            "words": one("lengths = (widths + 1) // 2", "lengths = mask_of(widths, images.shape[3])[:, :-2:2].sum(1)"),
            "digits": one("            x = F.relu(layer(x.transpose(1, 2)).transpose(1, 2))\n            lengths = (lengths + 1) // 2\n",
                          "            mask = torch.arange(x.shape[1])[None, :] < lengths[:, None]\n"
                          "            x = F.relu(layer(x.transpose(1, 2)).transpose(1, 2))\n"
                          "            lengths = mask[:, :-2:2].sum(1)\n"),
            "handwriting": one("            x = layer(x).relu()\n            sizes = (sizes - 1) // layer.stride[0] + 1\n",
                               "            mask = torch.arange(x.shape[2]) < sizes[:, None]\n            x = layer(x).relu()\n"
                               "            sizes = sizes if layer.stride[0] == 1 else mask[:, :-2:2].sum(1)\n"),
        },
        (*LENGTHS, *ALONE),
    ),
    Fault(
        "axes-mixed", "keras-team/keras#8047", "structural",
        {"words": one("x.permute(0, 3, 1, 2).flatten(2)", "x.reshape(len(x), x.shape[3], -1)"),
         "digits": one("F.relu(layer(x.transpose(1, 2)).transpose(1, 2))",
                       "F.relu(layer(x.transpose(1, 2)).reshape(len(x), -1, 48))"),
         "handwriting": one("        x = x.permute(2, 0, 1)\n", "        x = x.reshape(x.shape[2], x.shape[0], -1)\n"),
         "gestures": one("y = convolve(x.transpose(1, 2)).transpose(1, 2)",
                         "y = convolve(x.reshape(len(x), x.shape[2], -1)).transpose(1, 2)")},
        ("axes-mixed", "frames-not-in-order", *ALONE),
    ),
    Fault(
        "recurrence-over-batch", "the pilot", "structural",
        {
            "spelling": (("self.decoder = nn.GRU(SIZE, SIZE, batch_first=True)", "self.decoder = nn.GRU(SIZE, SIZE)"),
                         ("start = torch.zeros(1, len(sources), SIZE)", "start = torch.zeros(1, written.shape[1], SIZE)")),
            "digits": (("nn.GRU(48, 48, bidirectional=True, batch_first=True)", "nn.GRU(48, 48, bidirectional=True)"),
                       ("        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)\n", ""),
                       ("x, _ = pad_packed_sequence(self.recurrent(packed)[0], batch_first=True)", "x, _ = self.recurrent(x)")),
            "forecast": one("num_layers=2, batch_first=True,", "num_layers=2,"),
        },
        ALONE,
    ),
    Fault(
        "positions-of-the-batch", "cmu-l3/anlp-fall2025-code#1", "structural",
        {"tagging": one("positions = torch.arange(words.shape[1])", "positions = torch.arange(words.shape[0])[:, None]"),
         "charlm": one("positions = torch.arange(size)", "positions = torch.arange(len(ids))[:, None]"),
         "melody": one("self.places[: ids.shape[1]]", "self.places[: len(ids), None]")},
        ALONE,
    ),
    Fault(
        "padding-not-masked", "pytorch/audio#4205", "structural",
        {
            "words": (("batch = torch.zeros(len(rows), 1,", "batch = torch.ones(len(rows), 1,"),
                      (" * mask_of(widths, images.shape[3])[:, None, None, :]", "")),
            "digits": (("pad_sequence(clips, batch_first=True)", "pad_sequence(clips, batch_first=True, padding_value=5.0)"),
                       ("            x = mask_frames(x, lengths)\n", "")),
            "tagging": one("        x = x.masked_fill(padding[:, :, None], 0)\n", ""),
            "speakers": (("pad_sequence(first, batch_first=True)", "pad_sequence(first, batch_first=True, padding_value=5.0)"),
                         ("pad_sequence(second, batch_first=True)", "pad_sequence(second, batch_first=True, padding_value=5.0)"),
                         (".transpose(1, 2)) * valid", ".transpose(1, 2))")),
            "strokes": (("        x = x.sum(1) / lengths[:, None]\n", "        x = x.mean(1)\n"),),
            "handwriting": (("pad_sequence([points for points, _ in rows])", "pad_sequence([points for points, _ in rows], False, 5.0)"),
                            ("            x = x * (torch.arange(x.shape[2]) < sizes[:, None])[:, None]\n", "")),
            "translation": one('energies.masked_fill(outside[:, None], float("-inf")).softmax(-1)', "energies.softmax(-1)"),
            "forecast": one("states[torch.arange(len(states)), hours - 1]", "states[:, -1]"),
            "gestures": one("x = (share[:, :, None] * x).sum(1)", "x = x.mean(1)"),
        },
        ALONE,
    ),
    Fault(
        "batch-norm-over-padding", "Tomiinek/Multilingual_Text_to_Speech#81", "structural",
        {
            "words": (("self.norm = nn.LayerNorm(48)", "self.norm = nn.BatchNorm1d(48)"),
                      ("self.norm(self.project(x))", "self.norm(self.project(x).transpose(1, 2)).transpose(1, 2)")),
            "digits": (("self.norm = nn.LayerNorm(48)", "self.norm = nn.BatchNorm1d(48)"),
                       ("x = self.norm(x)", "x = self.norm(x.transpose(1, 2)).transpose(1, 2)")),
            "strokes": (("        out = torch.zeros_like(x)\n        out[valid] = super().forward(x[valid])\n        return out\n",
                         "        return super().forward(x.transpose(1, 2)).transpose(1, 2)\n"),),
            "handwriting": (("self.norm = nn.LayerNorm(SIZE)", "self.norm = nn.BatchNorm1d(SIZE)"),
                            ("self.norm(x)", "self.norm(x.permute(1, 2, 0)).permute(2, 0, 1)")),
            "gestures": one("            x = torch.zeros_like(y)\n            x[valid] = F.relu(norm(y[valid]))\n",
                            "            x = F.relu(norm(y.transpose(1, 2)).transpose(1, 2)) * valid[:, :, None]\n"),
        },
        ("padding-reaches-rows",),
    ),
    Fault(
        "statistics-of-the-batch", "speechbrain/speechbrain#931", "structural",
        {
            "digits": one("        if self.training:\n", "        x = (x - x.mean((0, 1))) / x.std((0, 1))\n        if self.training:\n"),
            "strokes": one("        valid = torch.arange(x.shape[1])",
                           "        x = (x - x.mean((0, 1))) / x.std((0, 1))\n        valid = torch.arange(x.shape[1])"),
            "speakers": one("        valid = (torch.arange(x.shape[1])",
                            "        x = (x - x.mean((0, 1))) / x.std((0, 1))\n        valid = (torch.arange(x.shape[1])"),
            "autoencoder": one("        mean, log_variance = self.encode(curves, lengths)",
                               "        curves = (curves - curves.mean((0, 1))) / curves.std((0, 1))\n"
                               "        mean, log_variance = self.encode(curves, lengths)"),
            "handwriting": one("        x = points.permute(1, 2, 0)",
                               "        points = (points - points.mean((0, 1))) / points.std((0, 1))\n        x = points.permute(1, 2, 0)"),
            "forecast": one("        states, _ = self.lstm(series)",
                            "        series = (series - series.mean((0, 1))) / series.std((0, 1))\n        states, _ = self.lstm(series)"),
            "gestures": one("        x = frames\n", "        x = (frames - frames.mean((0, 1))) / frames.std((0, 1))\n"),
        },
        ALONE,
    ),
    Fault(
        "mask-inverted", "facebookresearch/detr#96", "structural",
        {"tagging": one("src_key_padding_mask=padding", "src_key_padding_mask=~padding"),
         "spelling": one("masked_fill(~valid[:, None, :]", "masked_fill(valid[:, None, :]"),
         "speakers": one("masked_fill(~valid,", "masked_fill(valid,"),
         "translation": one("masked_fill(outside[:, None], float(\"-inf\"))", "masked_fill(~outside[:, None], -1e9)"),
         "gestures": one("share = valid / valid.sum(1, keepdim=True)", "share = ~valid / (~valid).sum(1, keepdim=True).clamp(min=1)")},
        (*ALONE, "outputs-not-finite", "loss-not-finite", "input-ignored", "input-steps-unused"),
    ),
    Fault(
        "rows-sorted-not-targets", "mead-ml/mead-baseline#677", "structural",
        {
            "words": one("        x = F.relu(self.first(images))",
                         "        order = widths.argsort(descending=True)\n        images, widths = images[order], widths[order]\n"
                         "        x = F.relu(self.first(images))"),
            "digits": one("        if self.training:\n",
                          "        order = lengths.argsort(descending=True)\n        x, lengths = x[order], lengths[order]\n"
                          "        if self.training:\n"),
            "tagging": one("        padding = torch.arange(words",
                           "        order = lengths.argsort(descending=True)\n        words, lengths = words[order], lengths[order]\n"
                           "        padding = torch.arange(words"),
            "spelling": one("        packed = pack_padded_sequence(self.letters",
                            "        lengths, order = lengths.sort(descending=True)\n        sources = sources[order]\n"
                            "        packed = pack_padded_sequence(self.letters"),
            "strokes": one("        valid = torch.arange(x.shape[1])",
                           "        order = lengths.argsort(descending=True)\n        x, lengths = x[order], lengths[order]\n"
                           "        valid = torch.arange(x.shape[1])"),
            "handwriting": one("        x = points.permute(1, 2, 0)",
                               "        sizes, order = sizes.sort(descending=True)\n        points = points[:, order]\n"
                               "        x = points.permute(1, 2, 0)"),
            "translation": one("        packed = pack_padded_sequence(self.digits",
                               "        counts, order = counts.sort(descending=True)\n        digits = digits[order]\n"
                               "        packed = pack_padded_sequence(self.digits"),
            "forecast": one("        states, _ = self.lstm(series)",
                            "        hours, order = hours.sort(descending=True)\n        states, _ = self.lstm(series[order])"),
            "gestures": one("        valid = torch.arange(",
                            "        sizes, order = sizes.sort(descending=True)\n        frames = frames[order]\n"
                            "        valid = torch.arange("),
        },
        (*ORDER, "row-depends-on-batch"),
    ),
    Fault(
        "future-seen", "pytorch/tutorials#719", "structural",
        {"charlm": one("mask=causal", "mask=None"),
         "melody": one("is_causal=True", "is_causal=False"),
         "translation": (("self.decoder = nn.GRU(SIZE, SIZE, batch_first=True)",
                          "self.decoder = nn.GRU(SIZE, SIZE // 2, bidirectional=True, batch_first=True)"),
                         ("self.decoder(x, state)", "self.decoder(x, torch.cat(state.chunk(2, -1)).contiguous())")),
         "spelling": (("self.decoder = nn.GRU(SIZE, SIZE, batch_first=True)",
                       "self.decoder = nn.GRU(SIZE, SIZE // 2, bidirectional=True, batch_first=True)"),
                      ("start = torch.zeros(1, len(sources), SIZE)", "start = torch.zeros(2, len(sources), SIZE // 2)"))},
        ("targets-seen-ahead",),
    ),
]  # fmt: skip
