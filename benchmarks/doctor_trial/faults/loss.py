"""The caller's own loss, and what the model hands to it."""

from __future__ import annotations

from doctor_trial.fault import Fault, everywhere, one

PLAIN_HEAD = {
    "tagging": "self.head(x)",
    "spelling": "self.head(x)",
    "strokes": "self.head(x)",
    "charlm": "self.head(self.norm(x))",
    "translation": "self.head(x)",
    "melody": "self.head(self.norm(x))",
    "gestures": "self.head(self.dropout(x))",
}
HEAD = PLAIN_HEAD | {"digits": "self.head(x)"}


def _around(heads: dict[str, str], form: str) -> dict[str, tuple[tuple[str, str], ...]]:
    return {recipe: one(f"return {head}", f"return {form.format(head)}") for recipe, head in heads.items()}


SMOOTHED = {
    "tagging": one("tags.flatten(), ignore_index=-100)",
                   "tags.flatten(), ignore_index=-100) * 0.9 - 0.1 * scores.log_softmax(-1).mean()"),
    "spelling": one("flatten(), ignore_index=PAD)", "flatten(), ignore_index=PAD) * 0.9 - 0.1 * scores.log_softmax(-1).mean()"),
    "charlm": one("flatten(), ignore_index=PAD)", "flatten(), ignore_index=PAD) * 0.9 - 0.1 * scores.log_softmax(-1).mean()"),
    "translation": one("ignore_index=PAD)", "ignore_index=PAD) * 0.9 - 0.1 * scores.log_softmax(-1).mean()"),
    "melody": one("ignore_index=PAD, label_smoothing=0.05)", "ignore_index=PAD) * 0.95 - 0.05 * scores.log_softmax(-1).mean()"),
}  # fmt: skip

FAULTS = [
    Fault(
        "no-log-softmax", "gwx314/STARS#9", "structural",
        {
            "words": one("F.log_softmax(self.head(x), -1)", "self.head(x)"),
            "digits": one("scores.log_softmax(-1).transpose(0, 1)", "scores.transpose(0, 1)"),
            "tagging": one("F.cross_entropy(", "F.nll_loss("),
            "spelling": one("F.cross_entropy(", "F.nll_loss("),
            "strokes": one("F.cross_entropy(", "F.nll_loss("),
            "charlm": one("return F.cross_entropy(", "return F.nll_loss("),
            "handwriting": one("self.head(x).log_softmax(-1), sizes", "self.head(x), sizes"),
            "translation": one("F.cross_entropy(", "F.nll_loss("),
            "melody": (("F.cross_entropy(", "F.nll_loss("), (", label_smoothing=0.05", "")),
            "gestures": one("F.cross_entropy(", "F.nll_loss("),
        },
        ("scores-not-normalized",),
    ),
    Fault("softmax-twice", "ariecattan/SciCo#2", "structural", _around(HEAD, "{}.softmax(-1)")
          | {"handwriting": one("self.head(x).log_softmax(-1)", "self.head(x).softmax(-1).log_softmax(-1)")},
          ("softmax-twice",)),
    Fault(
        "softmax-in-training-only", "bowang-lab/Transformer-GCN-QA#32", "structural",
        _around(PLAIN_HEAD, "{0}.softmax(-1) if self.training else {0}"),
        ("softmax-twice", "outputs-differ-between-modes"),
    ),
    Fault(
        "softmax-in-evaluation-only", "bowang-lab/Transformer-GCN-QA#32", "structural",
        _around(PLAIN_HEAD, "{0} if self.training else {0}.softmax(-1)"),
        ("softmax-twice", "outputs-differ-between-modes"),
    ),
    Fault(
        "relu-head", "gcr/torch-residual-networks#1", "structural",
        _around(HEAD, "F.relu({})") | {"words": one("F.log_softmax(self.head(x), -1)", "F.log_softmax(F.relu(self.head(x)), -1)"),
                                            "handwriting": one("self.head(x).log_softmax(-1)", "self.head(x).relu().log_softmax(-1)")},
        ("outputs-clipped",),
    ),
    Fault(
        "targets-outside-outputs", "mikesj-public/convolutional_autoencoder#9", "structural",
        {"autoencoder": one("nn.Linear(SIZE, 2))", "nn.Linear(SIZE, 2), nn.ReLU())"),
         "forecast": one("self.head(F.elu(self.middle(last)))", "F.relu(self.head(F.elu(self.middle(last))))")},
        ("targets-outside-outputs", "outputs-clipped"),
    ),
    Fault(
        "padding-in-loss", "01-ai/Yi#110", "structural",
        {
            "tagging": (("for one in tags], batch_first=True, padding_value=-100)", "for one in tags], batch_first=True)"),
                        ("tags.flatten(), ignore_index=-100)", "tags.flatten())")),
            "spelling": one("flatten(), ignore_index=PAD)", "flatten())"),
            "charlm": one("flatten(), ignore_index=PAD)", "flatten())"),
            "translation": one(", ignore_index=PAD)", ")"),
            "melody": one(", ignore_index=PAD, label", ", label"),
        },
        ("padding-in-loss",),
    ),
    Fault("padding-in-smoothing", "huggingface/transformers#7546", "structural", SMOOTHED, ("padding-in-loss",)),
    Fault(
        "targets-broadcast", "pytorch/pytorch#16045", "structural",
        {"speakers": one(".square().sum(-1).add(1e-6).sqrt()", ".square().sum(-1, keepdim=True).add(1e-6).sqrt()"),
         "forecast": one(").squeeze(-1)", ")")},
        ("targets-not-paired",),
    ),
    Fault(
        "pairs-swapped", "ywpkwon/siamese_tf_mnist#8", "structural",
        {"speakers": one('same = batch["same"]\n', 'same = 1 - batch["same"]\n')},
        ("pairs-swapped", "equal-pairs-move-apart"),
    ),
    Fault(
        "hardest-pairs", "omoindrot/tensorflow-triplet-loss#6", "other",
        {"speakers": (("    return (near + far).mean()", "    return near.max() + far.max()"),
                      ("lr=LEARNING_RATE", "lr=30 * LEARNING_RATE"))},
        ("embeddings-collapsed", "predicts-the-average", "updates-too-large"),
    ),
    Fault(
        "divergence-too-heavy", "AppliedDataSciencePartners/WorldModels#12", "other",
        {"autoencoder": one("LATENT, SIZE, KL_WEIGHT = 8, 48, 1e-3", "LATENT, SIZE, KL_WEIGHT = 8, 48, 1.0")},
        ("predicts-the-average", "input-not-used", "embeddings-collapsed"),
    ),
    Fault(
        "dropout-in-evaluation", "espnet/espnet#230", "structural",
        {
            "words": one("x = self.dropout(", "x = F.dropout("),
            "spelling": one("self.dropout(self.letters", "F.dropout(self.letters"),
            "speakers": one("self.head(self.dropout(", "self.head(F.dropout("),
            "strokes": one("x = self.dropout(", "x = F.dropout("),
            "charlm": one("x = self.dropout(", "x = F.dropout("),
            "handwriting": one("x = self.drop(self.norm(x))", "x = F.dropout(self.norm(x), 0.1)"),
            "translation": one("0.1, self.training)", "0.1)"),
            "melody": one("self.dropout(self.attend(self.attention_norm(x)))", "F.dropout(self.attend(self.attention_norm(x)), 0.1)"),
            "gestures": one("self.head(self.dropout(x))", "self.head(F.dropout(x, 0.2))"),
        },
        ("evaluation-is-random",),
    ),
    Fault(
        "never-in-training-mode-again", "fartashf/vsepp#4", "other",
        everywhere(("            run.model.train()\n", ""), but=("autoencoder",)),
        ("trained-in-evaluation-mode",),
    ),
    Fault(
        "evaluated-in-training-mode", "espnet/espnet#230", "other",
        everywhere(("    run.model.eval()\n", "")),
        ("evaluated-in-training-mode",),
    ),
]  # fmt: skip
