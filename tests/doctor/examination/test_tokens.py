"""Models of tokens: padding in the loss, targets that are seen, embeddings."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqloss.doctor import examine

SIZES = [7, 5, 9, 4, 8, 6]
PAD = 0


def make_batch(seed: int = 0) -> dict[str, Tensor]:
    """Tokens with a begin (1) and an end (2), one longer than their lengths say."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.tensor(SIZES)
    ids = torch.randint(3, 12, (len(SIZES), max(SIZES) + 1), generator=generator)
    places = torch.arange(ids.shape[1])[None, :]
    ids[:, 0] = 1
    ids = torch.where(places == lengths[:, None], 2, ids)
    ids = torch.where(places > lengths[:, None], PAD, ids)
    return {"ids": ids, "lengths": lengths, "mask": places[:, :-1] < lengths[:, None]}


BATCHES = [make_batch(0), make_batch(1)]


class Writer(nn.Module):
    """A language model with causal attention."""

    def __init__(self, *, causal: bool = True, tied: bool = False, padding_idx: int | None = PAD) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.causal = causal
        self.tokens = nn.Embedding(12, 16, padding_idx=padding_idx)
        self.places = nn.Embedding(32, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.1, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 12)
        if tied:
            self.head.weight = self.tokens.weight
            nn.init.normal_(self.tokens.weight, std=0.2)

    def forward(self, ids: Tensor) -> Tensor:
        size = ids.shape[1]
        x = self.tokens(ids) + self.places(torch.arange(size))
        mask = nn.Transformer.generate_square_subsequent_mask(size) if self.causal else None
        return self.head(self.layers(x, mask=mask))


def loss(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    scores = model(batch["ids"][:, :-1])
    return F.cross_entropy(scores.flatten(0, 1), batch["ids"][:, 1:].flatten(), ignore_index=PAD)


def masked(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """By a mask of the batch, which has one step less than the tokens."""
    scores, targets = model(batch["ids"][:, :-1]), batch["ids"][:, 1:]
    return F.cross_entropy(scores[batch["mask"]], targets[batch["mask"]])


def with_padding(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    scores = model(batch["ids"][:, :-1])
    return F.cross_entropy(scores.flatten(0, 1), batch["ids"][:, 1:].flatten())


def smoothed_over_padding(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    scores = model(batch["ids"][:, :-1])
    return 0.9 * loss(model, batch) - 0.1 * scores.log_softmax(-1).mean()


def smoothed(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    scores = model(batch["ids"][:, :-1])
    targets = batch["ids"][:, 1:].flatten()
    return F.cross_entropy(scores.flatten(0, 1), targets, ignore_index=PAD, label_smoothing=0.1)


def by_all_steps(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """Divided by all steps, those of the padding too: rows of long batches count for less."""
    scores, targets = model(batch["ids"][:, :-1]), batch["ids"][:, 1:]
    return F.cross_entropy(scores.transpose(1, 2), targets, ignore_index=PAD, reduction="sum") / targets.numel()


@pytest.mark.parametrize("healthy", [loss, masked, smoothed, by_all_steps])
def test_healthy_losses_of_tokens_have_no_finding(healthy: Any) -> None:
    found = examine(Writer(), BATCHES, healthy)
    assert found.names == []
    assert {"rows", "padding", "ahead", "embeddings"} <= set(found.checked)


@pytest.mark.parametrize("faulty", [with_padding, smoothed_over_padding])
def test_padding_that_counts_in_the_loss_is_named(faulty: Any) -> None:
    assert examine(Writer(), BATCHES, faulty).names == ["padding-in-loss"]


def shifted(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    scores = model(batch["inputs"])
    return F.cross_entropy(scores.flatten(0, 1), batch["targets"].flatten(), ignore_index=PAD)


def test_tokens_that_are_predicted_and_seen_are_named() -> None:
    apart = [{"inputs": one["ids"][:, :-1], "targets": one["ids"][:, 1:], "lengths": one["lengths"]} for one in BATCHES]
    for causal in (True, False):
        expected = [] if causal else ["targets-seen-ahead"]
        for batches, value in ((BATCHES, loss), (apart, shifted)):
            found = examine(Writer(causal=causal), batches, value).names
            assert [name for name in found if name == "targets-seen-ahead"] == expected


class Translator(nn.Module):
    """Reads one row of tokens and writes another, with the truth before each token as input."""

    def __init__(self, *, shift: bool = True) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.shift = shift
        self.tokens = nn.Embedding(12, 16)
        self.encoder = nn.GRU(16, 16, batch_first=True)
        self.decoder = nn.GRU(16, 16, batch_first=True)
        self.head = nn.Linear(16, 12)

    def forward(self, source: Tensor, source_lengths: Tensor, target: Tensor) -> Tensor:
        states, _ = self.encoder(self.tokens(source))
        last = states[torch.arange(len(source)), source_lengths - 1]
        written = F.pad(target[:, :-1], (1, 0), value=1) if self.shift else target
        return self.head(self.decoder(self.tokens(written), last[None].contiguous())[0])


def translate(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    scores = model(batch["source"], batch["source_lengths"], batch["target"])
    return F.cross_entropy(scores.flatten(0, 1), batch["target"].flatten(), ignore_index=PAD)


@pytest.mark.parametrize("shift", [True, False])
def test_a_decoder_that_reads_its_own_target_is_named(shift: bool) -> None:
    batches = [
        {"source": one["ids"][:, 1:8], "source_lengths": torch.tensor([7, 5, 7, 4, 7, 6]), "target": one["ids"][:, 1:],
         "target_lengths": one["lengths"]}
        for one in BATCHES
    ]  # fmt: skip
    found = [name for name in examine(Translator(shift=shift), batches, translate).names if name.startswith("targets")]
    assert found == ([] if shift else ["targets-seen-ahead"])


class Copier(nn.Module):
    """An autoencoder of tokens: each output may see its own token."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.tokens, self.narrow, self.head = nn.Embedding(12, 8), nn.Linear(8, 3), nn.Linear(3, 12)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.narrow(self.tokens(ids)).tanh())


def test_an_autoencoder_of_tokens_has_no_finding() -> None:
    def copy(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        return F.cross_entropy(model(batch["ids"]).flatten(0, 1), batch["ids"].flatten(), ignore_index=PAD)

    assert examine(Copier(), BATCHES, copy).names == []


class Sentences(nn.Module):
    """An autoencoder with a decoder that gets the token before each step."""

    def __init__(self, *, backwards: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.tokens = nn.Embedding(12, 16)
        self.encoder = nn.GRU(16, 16, batch_first=True)
        self.decoder = nn.GRU(16, 8 if backwards else 16, batch_first=True, bidirectional=backwards)
        self.head = nn.Linear(16, 12)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        states, _ = self.encoder(self.tokens(ids))
        last = states[torch.arange(len(ids)), lengths - 1]
        return self.head(self.decoder(self.tokens(ids[:, :-1]))[0] + last[:, None])


@pytest.mark.parametrize("backwards", [False, True])
def test_an_encoder_may_see_the_targets_that_its_decoder_does_not(backwards: bool) -> None:
    def rebuild(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        scores = model(batch["ids"], batch["lengths"])
        return F.cross_entropy(scores.transpose(1, 2), batch["ids"][:, 1:], ignore_index=PAD)

    found = examine(Sentences(backwards=backwards), BATCHES, rebuild).names
    assert [name for name in found if name == "targets-seen-ahead"] == (["targets-seen-ahead"] if backwards else [])


def test_a_token_that_is_the_padding_of_its_embedding_is_named() -> None:
    assert examine(Writer(padding_idx=5), BATCHES, loss).names == ["embedding-row-frozen"]
    assert examine(Writer(padding_idx=None), BATCHES, loss).names == []


def test_two_begin_tokens_are_named_without_a_vocabulary() -> None:
    twice = [{**one, "ids": torch.cat([one["ids"][:, :1], one["ids"]], 1), "lengths": one["lengths"] + 1}
             for one in BATCHES]  # fmt: skip
    assert examine(Writer(), twice, loss).names == ["begin-token-twice"]


def test_tied_weights_and_a_head_of_zeros_are_no_findings() -> None:
    assert examine(Writer(tied=True), BATCHES, loss).names == []
    zeros = Writer()
    nn.init.zeros_(zeros.head.weight)
    assert examine(zeros, BATCHES, loss).names == []
    nn.init.zeros_(zeros.head.bias)
    assert examine(zeros, BATCHES, loss).names == []


def test_a_softmax_in_one_mode_is_named() -> None:
    class Once(Writer):
        def __init__(self, mode: bool) -> None:
            super().__init__()
            self.mode = mode

        def forward(self, ids: Tensor) -> Tensor:
            scores = super().forward(ids)
            return scores.softmax(-1) if self.training == self.mode else scores

    assert examine(Once(True), BATCHES, loss).names == ["outputs-differ-between-modes"]
    assert "outputs-differ-between-modes" in examine(Once(False), BATCHES, loss).names


def test_a_relu_before_the_softmax_is_named() -> None:
    class Clipped(Writer):
        def forward(self, ids: Tensor) -> Tensor:
            return super().forward(ids).relu().log_softmax(-1)

    class Forbidding(Writer):
        """Some classes are never allowed."""

        def forward(self, ids: Tensor) -> Tensor:
            scores = super().forward(ids)
            return scores.masked_fill(torch.arange(12) == 1, -1e9).masked_fill(torch.arange(12) == 0, -1e9)

    assert "outputs-clipped" in examine(Clipped(), BATCHES, loss).names
    assert "outputs-clipped" not in examine(Forbidding(), BATCHES, loss).names
