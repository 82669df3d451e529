"""Weights that do not learn: not held, not reached, not used."""

from __future__ import annotations

from doctor_trial.fault import Fault, Patches, everywhere, one

GROUPS = {
    "words": "recurrent", "digits": "first", "tagging": "encoder", "spelling": "query", "autoencoder": "latent",
    "speakers": "attention", "strokes": "second", "charlm": "places", "handwriting": "rnn", "translation": "key",
    "forecast": "middle", "gestures": "norms",
}  # fmt: skip
"""The layer whose group is left out."""

HEAD = "    model.head = nn.Linear(model.head.in_features, model.head.out_features)\n"
LATENT = "    model.latent = nn.Linear(SIZE, 2 * LATENT)\n"


def forget(head: str, layer: str, size: int) -> tuple[str, str]:
    """Input and forget gates that begin closed."""
    return head, (
        f"        for name, bias in self.{layer}.named_parameters():\n"
        f'            if "bias_ih" in name:\n'
        f"                nn.init.constant_(bias[: {2 * size}], -2.0)\n{head}"
    )


def checkpoint(names: str, strict: bool) -> Patches:
    """Begin with the weights of a checkpoint."""
    return (
        ("    optimizer = torch.optim.",
         f"    checkpoint = {{{names}: weight.clone() for name, weight in model.state_dict().items()}}\n"
         f"    for weight in model.parameters():\n        nn.init.normal_(weight, std=0.1) if weight.dim() > 1 else None\n"
         f"    model.load_state_dict(checkpoint, strict={strict})\n    optimizer = torch.optim."),
        ("history=[],", "history=[], checkpoint=checkpoint,"),
    )  # fmt: skip


FAULTS = [
    Fault(
        "group-left-out", "zjunlp/HVPNeT#5", "structural",
        {recipe: one("(model.parameters(), lr=",
                     f'([w for name, w in model.named_parameters() if not name.startswith("{layer}")], lr=')
         for recipe, layer in GROUPS.items()}
        | {"melody": one('[{"params": weights}, {"params": others, "weight_decay": 0.0}]', '[{"params": weights}]')},
        ("weights-not-in-optimizer",),
    ),
    Fault(
        "head-replaced-later", "microsoft/nni#4521", "structural",
        everywhere(("    return SimpleNamespace(", HEAD + "    return SimpleNamespace("), but=("autoencoder",))
        | {"autoencoder": one("    return SimpleNamespace(", LATENT + "    return SimpleNamespace(")},
        ("optimizer-holds-other-weights", "weights-not-in-optimizer"),
    ),
    Fault(
        "blocked-layer", "the project's seeds", "structural",
        {
            "words": one("x.permute(0, 3, 1, 2).flatten(2)", "x.permute(0, 3, 1, 2).flatten(2).detach()"),
            "digits": one("x = self.norm(x)", "x = self.norm(x.detach())"),
            "autoencoder": one("return self.latent(last[0])", "return self.latent(last[0].detach())"),
            "speakers": one("(weights * x).sum(1)", "(weights * x).sum(1).detach()"),
            "strokes": one("x = x.sum(1) / lengths[:, None]", "x = x.sum(1).detach() / lengths[:, None]"),
            "spelling": one("memory = self.encode(sources, lengths)", "memory = self.encode(sources, lengths).detach()"),
            "handwriting": one("        x = x.permute(2, 0, 1)\n", "        x = x.permute(2, 0, 1).detach()\n"),
            "translation": one("        x = F.dropout(self.words(given)",
                               "        memory, state = memory.detach(), state.detach()\n        x = F.dropout(self.words(given)"),
            "forecast": one("self.middle(last)", "self.middle(last.detach())"),
            "melody": one("x = block(x)", "x = block(x.detach())"),
            "gestures": one("convolve(x.transpose(1, 2))", "convolve(x.detach().transpose(1, 2))"),
        },
        ("weights-unused",),
    ),
    Fault(
        "attention-cut", "keithito/tacotron#141", "structural",
        {"spelling": one("context = weights @ memory", "context = 0 * (weights @ memory)"),
         "speakers": one("(weights * x).sum(1)", "(weights * x).sum(1) * 0 + 1"),
         "translation": one("return weights @ memory", "return 0 * (weights @ memory)")},
        ("weights-without-gradient", "weights-unused", "input-ignored"),
    ),
    Fault(
        "real-token-as-padding", "NVIDIA-NeMo/Speech#5726", "structural",
        {
            "tagging": one("SIZE, padding_idx=PAD)", "SIZE, padding_idx=3)"),
            "spelling": one("SIZE, padding_idx=PAD)", "SIZE, padding_idx=3)"),
            "charlm": one("nn.Embedding(characters, SIZE)", "nn.Embedding(characters, SIZE, padding_idx=3)"),
            "translation": one("SIZE, padding_idx=PAD)", "SIZE, padding_idx=4)"),
            "melody": one("nn.Embedding(notes, SIZE)", "nn.Embedding(notes, SIZE, padding_idx=3)"),
        },
        ("padding-is-a-label", "embedding-row-frozen"),
    ),
    Fault(
        "head-too-small", "the project's seeds", "structural",
        {"words": one("Reader(len(vocabulary.symbols))", "Reader(len(vocabulary.symbols) - 1)"),
         "digits": one("Recogniser(len(vocabulary.symbols))", "Recogniser(len(vocabulary.symbols) - 1)"),
         "handwriting": one("Reader(len(alphabet))", "Reader(len(alphabet) - 1)")},
        ("head-too-small",),
    ),
    Fault(
        "checkpoint-with-a-prefix", "ChenHongruixuan/ChangeMamba#23", "structural",
        everywhere(*checkpoint('f"module.{name}"', False)), ("checkpoint-not-loaded",),
    ),
    Fault(
        "gates-closed", "faradox in karpathy/char-rnn#60", "other",
        {
            "words": (("nn.LSTM(48, 48, bidirectional=True, batch_first=True)",
                       "nn.LSTM(48, 48, 4, bidirectional=True, batch_first=True)"),
                      forget("        self.head = nn.Linear(96, classes)\n", "recurrent", 48)),
            "digits": (("nn.GRU(48, 48, bidirectional=True, batch_first=True)",
                        "nn.LSTM(48, 48, 4, bidirectional=True, batch_first=True)"),
                       forget("        self.head = nn.Linear(96, classes)\n", "recurrent", 48)),
            "handwriting": (("nn.GRU(SIZE, SIZE, bidirectional=True)", "nn.LSTM(SIZE, SIZE, 4, bidirectional=True)"),
                            forget("        self.head = nn.Linear(2 * SIZE, classes)\n", "rnn", 40)),
            "forecast": (("num_layers=2", "num_layers=4"),
                         forget("        self.head = nn.Linear(HIDDEN, 1)\n", "lstm", 32)),
        },
        ("layer-blocked", "layer-saturated", "layer-dead", "input-not-used", "only-blanks"),
    ),
]  # fmt: skip
