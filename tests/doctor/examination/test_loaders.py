"""What loaders do to rows: their generators, splits, orders, rates and labels."""

from __future__ import annotations

import zlib
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader

from seqloss.doctor import Findings, examine
from seqloss.doctor.laws.second_process import _is_order_of_set
from seqloss.torch.nn.padding import mask_padding

from .models import Batch, Reader, loss, make_batch
from .vocabularies import Letters

Row = tuple[Tensor, str]


def make_rows(count: int, seed: int = 0, letters: str = "abcd") -> list[Row]:
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for _ in range(count):
        size = int(torch.randint(2, 5, (), generator=generator))
        text = "".join(letters[k] for k in torch.randint(len(letters), (size,), generator=generator))
        rows.append((torch.randn(4 * size, 4, generator=generator), text))
    return rows


def collate(rows: list[Row], change: Any = str) -> Batch:
    lengths = torch.tensor([len(x) for x, _ in rows])
    labels = [torch.tensor(Letters("abcd²").encode(change(text))) for _, text in rows]
    pad = nn.utils.rnn.pad_sequence
    sizes = torch.tensor(list(map(len, labels)))
    return Batch(pad([x for x, _ in rows], batch_first=True), lengths, pad(labels, batch_first=True), sizes)


def make_loader(rows: list[Row], **options: Any) -> DataLoader[Any]:
    generator = torch.Generator().manual_seed(3)
    return DataLoader(rows, 8, collate_fn=collate, generator=generator, **{"shuffle": True, **options})  # type: ignore[arg-type]


def test_a_loader_with_its_own_generator_is_as_before() -> None:
    """Its first epoch has the same order as without an examination."""
    loader = make_loader(make_rows(40))
    assert loader.generator is not None
    before = loader.generator.get_state()
    assert examine(Reader(), loader, loss, held_out=make_loader(make_rows(40, 1))).names == []
    assert torch.equal(loader.generator.get_state(), before)


def test_a_loader_that_shuffles_by_its_own_generator_is_not_in_order() -> None:
    """Sorted by chance, or by a seed, in the first epoch only."""
    rows = sorted(make_rows(80), key=lambda row: len(row[0]))
    assert "batches-in-order-of-length" not in examine(Reader(), make_loader(rows), loss).names
    assert examine(Reader(), make_loader(rows, shuffle=False), loss).names == ["batches-in-order-of-length"]


def reverse(text: str) -> str:
    return text[::-1]


@pytest.mark.parametrize(("change", "names"), [(str, []), (reverse, ["loader-reverses-texts"])])
def test_a_loader_that_reverses_labels_is_named(change: Any, names: list[str]) -> None:
    rows = make_rows(64)
    batches = [collate(rows[n : n + 8], change) for n in range(0, 64, 8)]
    texts = [text for _, text in rows]
    assert examine(Reader(), batches, loss, vocabulary=Letters("abcd²"), texts=texts).names == names


@pytest.mark.parametrize(("factor", "names"), [(1, []), (2, ["rates-differ"])])
def test_held_out_rows_of_another_rate_are_named(factor: int, names: list[str]) -> None:
    rows, held_out = make_rows(32), make_rows(32, 1)
    other = [(x.repeat_interleave(factor, 0), text) for x, text in held_out]
    train, others = ([collate(part[n : n + 8]) for n in range(0, 32, 8)] for part in (rows, other))
    assert [one for one in examine(Reader(), train, loss, held_out=others).names if one == "rates-differ"] == names


@pytest.mark.parametrize("inverted", [False, True])
def test_held_out_inputs_that_are_inverted_are_named(inverted: bool) -> None:
    """Their deviation is the same, and their mean is within one deviation."""

    def batch(seed: int, turn: bool) -> Batch:
        one = make_batch(seed)
        ink = (torch.rand(one.features.shape, generator=torch.Generator().manual_seed(seed)) < 0.3).float()
        return one._replace(features=mask_padding(1 - ink if turn else ink, one.lengths))

    train, held_out = [batch(n, False) for n in range(4)], [batch(n, inverted) for n in range(10, 14)]
    found = examine(Reader(), train, loss, held_out=held_out).names
    assert found == (["held-out-scaled-otherwise"] if inverted else [])


class Tagger(nn.Module):
    """Tags words: the vocabulary is that of the inputs, and the classes are others."""

    def __init__(self, words: int = 15) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words, self.head = nn.Embedding(words, 8, padding_idx=0), nn.Linear(8, 3)

    def forward(self, words: Tensor) -> Tensor:
        return self.head(self.words(words))


def tag(model: nn.Module, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    return F.cross_entropy(model(batch[0]).flatten(0, 1), batch[2].flatten(), ignore_index=-100)


def make_sentences(count: int, seed: int = 0) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.randint(2, 30, (count,), generator=generator).tolist()
    return [torch.randint(1, 11, (size,), generator=generator).tolist() for size in sizes]


def make_tagged(sentences: list[list[int]], roll: int = 0) -> list[tuple[Tensor, Tensor, Tensor]]:
    batches = []
    for n in range(0, len(sentences), 8):
        rows = [torch.tensor(row) for row in sentences[n : n + 8]]
        lengths = torch.tensor(list(map(len, rows)))
        tags = rows[-roll:] + rows[:-roll]
        pad = nn.utils.rnn.pad_sequence
        tagged = pad([row % 3 for row in tags], batch_first=True, padding_value=-100)
        batches.append((pad(rows, batch_first=True), lengths, tagged))
    return batches


def test_a_vocabulary_of_inputs_may_be_larger_than_the_head() -> None:
    sentences = make_sentences(32)
    texts = ["".join("abcdefghij"[one - 1] for one in row) for row in sentences]
    found = examine(Tagger(), make_tagged(sentences), tag, vocabulary=Letters("abcdefghij"), texts=texts)
    assert found.names == []
    assert "classes" in found.checked


def test_sentences_that_are_held_out_too_are_named() -> None:
    sentences = make_sentences(64)
    train = make_tagged(sentences)
    assert examine(Tagger(), train, tag, held_out=make_tagged(make_sentences(64, 1))).names == []
    assert examine(Tagger(), train, tag, held_out=make_tagged(sentences[8:40])).names == ["held-out-overlaps"]


def test_tags_of_other_rows_are_named() -> None:
    assert examine(Tagger(), make_tagged(make_sentences(32), roll=1), tag).names == ["pairs-shifted"]


class Symbol(str):
    """With the same hash in each process."""

    def __hash__(self) -> int:
        return zlib.crc32(self.encode())


def test_symbols_whose_hashes_collide_are_in_the_order_of_their_set() -> None:
    words = [Symbol(f"word{n}") for n in range(40)]
    for size in (9, 15, 25, 40):
        assert _is_order_of_set(list(set(words[:size])))
        assert not _is_order_of_set(sorted(words[:size]))


class Numbers(nn.Module):
    def __init__(self, *, norm: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.norm = nn.BatchNorm1d(16) if norm else nn.Identity()
        self.first, self.head = nn.Linear(6, 16), nn.Linear(16, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.first(x)).relu())[:, 0]


def by_severity(found: Findings, name: str = "inputs-not-scaled") -> list[str]:
    return [finding.severity for finding in found if finding.name == name]


@pytest.mark.parametrize(
    ("scale", "norm", "severities"), [(1.0, False, []), (40.0, False, ["warning"]), (40.0, True, ["note"])]
)
def test_numbers_in_their_own_units_are_a_note_if_a_norm_follows(
    scale: float, norm: bool, severities: list[str]
) -> None:
    batch = (scale * torch.randn(32, 6, generator=torch.Generator().manual_seed(0)), torch.randn(32))
    found = examine(Numbers(norm=norm), [batch], lambda model, batch: (model(batch[0]) - batch[1]).square().mean())
    assert by_severity(found) == severities
    assert len(found) == len(severities)


class LastState(nn.Module):
    def __init__(self, layer: type[nn.Module] = nn.LSTM) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.head = layer(6, 16, batch_first=True), nn.Linear(16, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x)[0][:, -1])[:, 0]


@pytest.mark.parametrize("scale", [40.0, 1000.0, 1_000_000.0])
@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU, nn.RNN])
def test_a_layer_that_saturates_is_no_norm(layer: type[nn.Module], scale: float) -> None:
    """Its outputs are the same for half of the inputs, too."""
    batch = (scale * (1 + torch.randn(32, 9, 6, generator=torch.Generator().manual_seed(0))), torch.randn(32))
    found = examine(LastState(layer), [batch], lambda model, batch: (model(batch[0]) - batch[1]).square().mean())
    assert by_severity(found) == ["warning"]


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.GELU(), nn.SiLU(), nn.Identity()])
@pytest.mark.parametrize("norm", [nn.LayerNorm(16), nn.BatchNorm1d(16), nn.GroupNorm(2, 16)])
def test_a_norm_behind_two_layers_and_any_activation_is_one(activation: nn.Module, norm: nn.Module) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), activation, nn.Linear(16, 16), activation, norm, nn.Linear(16, 1))
    batch = (60 * torch.randn(32, 6, generator=torch.Generator().manual_seed(0)), torch.randn(32, 1))
    found = examine(model, [batch], lambda model, batch: (model(batch[0]) - batch[1]).square().mean())
    assert by_severity(found) == ["note"]


class Drawer(nn.Module):
    """All outputs are above 0 with the weights of the beginning, and a ReLU keeps them there."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.head = nn.Linear(6, 16), nn.Linear(16, 6)
        nn.init.constant_(self.head.bias, 5.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.first(x).tanh()).relu()


def test_bounds_are_found_where_no_output_is_at_them() -> None:
    batch = torch.randn(32, 6, generator=torch.Generator().manual_seed(0))
    found = examine(Drawer(), [batch], lambda model, batch: (model(batch) - batch).square().mean())
    assert "targets-outside-outputs" in found.names


class Differing(nn.Module):
    """A logit of the difference of two embeddings, in which the last bias cancels."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4))
        self.head = nn.Linear(4, 1)

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        return self.head((self.layers(one) - self.layers(other)).abs())[:, 0]


def test_a_bias_that_cancels_exactly_is_no_finding() -> None:
    batch = (torch.randn(8, 6), torch.randn(8, 6), torch.arange(8) % 2)
    found = examine(
        Differing(), [batch], lambda model, b: F.binary_cross_entropy_with_logits(model(b[0], b[1]), b[2].float())
    )
    assert found.names == []


def test_few_symbols_whose_hashes_collide_are_told_by_the_order_of_the_texts() -> None:
    sets = [[Symbol(f"word{start}-{n}") for n in range(14)] for start in range(300)]
    assert all(_is_order_of_set(list(set(words)), words) for words in sets)
    assert not all(_is_order_of_set(list(set(words))) for words in sets)
