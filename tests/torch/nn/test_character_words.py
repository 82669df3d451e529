"""Vectors of words from characters equal a plain version in NumPy, value and gradient, and depend on the word alone."""

from __future__ import annotations

import pickle
import re

import numpy as np
import pytest
import torch
from torch import Tensor

from seqloss.errors import DataError, DTypeError, OptionError, SeqLossError, ShapeError
from seqloss.torch.nn import CharacterWordEncoder, DistinctWords
from seqloss.torch.nn.highway import Highway

ALPHABET = "abcdefghijklmnopqrstuvwxyz'é"
FILTERS = {1: 2, 3: 3, 4: 2, 7: 1}
WORDS = ["beers", "a", "", "beer", "it's", "beers", "wellerlookedafter"]


def make(**options) -> CharacterWordEncoder:
    torch.manual_seed(3)
    given = {"character_size": 4, "filters": FILTERS, "highway_layers": 2, "dtype": torch.float64, **options}
    return CharacterWordEncoder(ALPHABET, **given)


def plain_vector(word: str, weights: dict[str, np.ndarray], layers: int = 2) -> np.ndarray:
    """One word, one filter, one place after the other, as the paper has it."""
    table = weights["embedding.weight"]
    rows = [table[1], *(table[4 + ALPHABET.index(c) if c in ALPHABET else 3] for c in word), table[2]]
    y = []
    for number, width in enumerate(FILTERS):
        full = [*rows, *[np.zeros(table.shape[1])] * (width - len(rows))]
        for kernel, bias in zip(weights[f"filters.{number}.weight"], weights[f"filters.{number}.bias"], strict=True):
            found = []
            for place in range(len(full) - width + 1):
                found.append(np.tanh(sum(kernel[:, k] @ full[place + k] for k in range(width)) + bias))
            y.append(max(found))
    y, size = np.array(y), len(y)
    for layer in range(layers):
        matrix, bias = weights[f"highway.layers.{layer}.weight"], weights[f"highway.layers.{layer}.bias"]
        changed = np.maximum(matrix[:size] @ y + bias[:size], 0)
        gate = 1 / (1 + np.exp(-(matrix[size:] @ y + bias[size:])))
        y = gate * changed + (1 - gate) * y
    return y


def weights_of(encoder: CharacterWordEncoder) -> dict[str, np.ndarray]:
    return {name: value.detach().numpy().copy() for name, value in encoder.named_parameters()}


def upstream(vectors: Tensor) -> Tensor:
    """A gradient that differs in every element."""
    return torch.arange(1.0, vectors.numel() + 1, dtype=torch.float64).sin().view_as(vectors)


def test_vectors_equal_the_plain_version() -> None:
    encoder = make()
    expected = np.stack([plain_vector(word, weights_of(encoder)) for word in WORDS])
    np.testing.assert_allclose(encoder(WORDS).detach().numpy(), expected, rtol=1e-12, atol=1e-13)


def test_gradients_equal_differences_of_the_plain_version() -> None:
    encoder = make()
    vectors = encoder(WORDS)
    (vectors * upstream(vectors)).sum().backward()
    weights, factors, step = weights_of(encoder), upstream(vectors).numpy(), 1e-6

    def total() -> float:
        return sum(float(plain_vector(w, weights) @ row) for w, row in zip(WORDS, factors, strict=True))

    rng = np.random.default_rng(0)
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None
        flat = weights[name].reshape(-1)
        for place in rng.choice(flat.size, min(12, flat.size), replace=False):
            if name == "embedding.weight" and place < 4:  # the padding stays zero
                continue
            kept = flat[place]
            flat[place] = kept + step
            above = total()
            flat[place] = kept - step
            below = total()
            flat[place] = kept
            assert float(parameter.grad.reshape(-1)[place]) == pytest.approx((above - below) / 2 / step, abs=2e-8)


def test_the_padding_of_characters_gets_no_gradient_and_other_characters_do() -> None:
    encoder = make()
    encoder(["a", "beers"]).sum().backward()
    used = encoder.embedding.weight.grad.abs().sum(1) > 0
    assert used.nonzero()[:, 0].tolist() == [1, 2, *sorted(4 + ALPHABET.index(c) for c in "abers")]


def test_second_derivatives_are_right() -> None:
    encoder = make(filters={1: 2, 3: 2}, highway_layers=1)
    names = [name for name, _ in encoder.named_parameters()]
    values = tuple(value.detach().requires_grad_() for value in encoder.parameters())
    words = encoder.prepare(["beers", "it"])

    def call(*given: Tensor) -> Tensor:
        return torch.func.functional_call(encoder, dict(zip(names, given, strict=True)), (words,))

    assert torch.autograd.gradgradcheck(call, values, fast_mode=True)


def test_a_vector_does_not_depend_on_the_other_words() -> None:
    encoder = make()
    together = encoder(WORDS)
    for place, word in enumerate(WORDS):
        torch.testing.assert_close(encoder([word])[0], together[place], rtol=1e-12, atol=1e-13)


def test_rows_of_words_are_padded_with_zeros() -> None:
    encoder = make()
    rows = encoder([["beer", "a"], [], ["beers", "it's", ""]])
    assert rows.shape == (3, 3, 8)
    alone = encoder(["beer", "a", "beers", "it's", ""])
    torch.testing.assert_close(torch.cat([rows[0, :2], rows[2]]), alone)
    assert not rows[0, 2:].any()
    assert not rows[1].any()


def test_each_distinct_word_is_encoded_once() -> None:
    encoder, seen = make(), []
    encoder.highway.register_forward_hook(lambda module, given, result: seen.append(len(result)))
    encoder([["a", "beer", "a"], ["beer", "beer", "a"]])
    assert sum(seen) == 2


def test_a_word_may_be_of_any_length_and_does_not_pad_the_others_to_its_own() -> None:
    encoder = make()
    words = ["a" * 5000, "b" * 20, *(f"{c}{d}" for c in ALPHABET for d in ALPHABET)]
    prepared = encoder.prepare(words)
    for block in prepared.characters:
        assert block.shape[1] <= max(8, 2 * int((block != 0).sum(1).min()))
    np.testing.assert_allclose(
        encoder(prepared)[:3].detach().numpy(),
        [plain_vector(word, weights_of(encoder)) for word in words[:3]],
        rtol=1e-12, atol=1e-13,
    )  # fmt: skip


def test_a_fresh_highway_passes_its_input_on() -> None:
    x = torch.rand(5, 6)
    torch.testing.assert_close(Highway(6, 3, gate_bias=-40.0)(x), x)
    assert not torch.allclose(Highway(6, 3, gate_bias=0.0)(x), x, atol=0.05)
    assert Highway(6).layers[0].bias[6:].tolist() == [-2.0] * 6
    assert Highway(6, 0)(x) is x


@pytest.mark.parametrize(("words", "shape"), [([], (0, 8)), ([[]], (1, 0, 8)), ([[], []], (2, 0, 8))])
def test_no_words_have_no_vectors_and_a_gradient_of_zero(words: list, shape: tuple) -> None:
    encoder = make()
    vectors = encoder(words)
    assert vectors.shape == shape
    vectors.sum().backward()
    assert all(parameter.grad is not None and not parameter.grad.any() for parameter in encoder.parameters())


def test_a_character_outside_of_the_alphabet_is_an_error_that_says_where() -> None:
    message = r"words[1][2] = 'naß': character 2 is '\xdf' (U+00DF), expected one of the 28 of the encoder; add it"
    with pytest.raises(DataError, match=re.escape(message)):
        make()([["a"], ["b", "c", "naß"]])
    with pytest.raises(DataError, match=re.escape("words[1] = 'A': character 0 is 'A' (U+0041)")):
        make()(["a", "A"])


def test_or_all_of_them_share_one_vector() -> None:
    encoder = make(unknown="share")
    vectors = encoder(["naß", "na7", "na", "nan"])
    assert torch.equal(vectors[0], vectors[1])
    assert not torch.equal(vectors[0], vectors[2])
    assert not torch.equal(vectors[0], vectors[3])
    expected = plain_vector("naß", weights_of(encoder))
    np.testing.assert_allclose(vectors[0].detach().numpy(), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("beer", "words: found the string 'beer', expected a list of words, or of rows of words"),
        (["a", ["b"]], "words: found a word at 0 and a row at 1, expected words alone, or rows of words alone"),
        ([["b"], ["a"], "c"], "words: found a row at 0 and a word at 2"),
    ],
)
def test_words_of_another_form_are_refused(words: object, message: str) -> None:
    with pytest.raises(ShapeError, match=re.escape(message)):
        make()(words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([3, 4], "words[0]: expected a string, or a row of strings, found int; give the words themselves"),
        ([["a", 4]], "words[0][1]: expected a string, found int; give the words themselves, not their numbers."),
        (torch.tensor([3, 4]), "words[0]: expected a string, or a row of strings, found Tensor"),
        ([b"a"], "words[0][0]: expected a string, found int"),
    ],
)
def test_words_that_are_no_strings_are_refused(words: object, message: str) -> None:
    with pytest.raises(DTypeError, match=re.escape(message)):
        make()(words)


def test_numbers_of_another_encoder_are_refused_and_are_nan_where_nobody_looks(monkeypatch) -> None:
    encoder = make()
    words = DistinctWords((torch.tensor([[1, 5, 2], [1, 90, 2]]),), torch.tensor([1, 2]))
    with pytest.raises(DataError, match="characters: found 90, expected 0 to 31; prepare the words with this encoder"):
        encoder(words)
    monkeypatch.setattr("seqloss.torch.nn.character_words.host_knows", lambda characters: False)
    vectors = encoder(words)
    assert torch.isfinite(vectors[0]).all()
    assert vectors[1].isnan().all()


WRONG: list[tuple[dict, str]] = [
    ({"characters": "aba"}, "characters[2]: found 'a' again, expected each character once"),
    ({"characters": ["a", "bc"]}, "characters[1]: found 'bc', expected one character"),
    ({"filters": {}}, "filters: found none, expected {width: number of filters, ...}"),
    ({"filters": {0: 5}}, "filters: a width: found 0, expected a whole number of at least 1"),
    ({"filters": {2: 0}}, "filters[2]: found 0, expected a whole number of at least 1"),
    ({"character_size": 0}, "character_size: found 0"),
    ({"highway_layers": -1}, "highway_layers: found -1, expected a whole number of at least 0"),
    ({"unknown": "skip"}, "unknown: found 'skip', expected"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_a_wrong_option_is_refused(options: dict, message: str) -> None:
    with pytest.raises(OptionError, match=re.escape(message)):
        CharacterWordEncoder(**{"characters": "ab", **options})


def test_the_cost_is_that_of_all_parameters_beside_a_table_of_the_same_size_of_vectors() -> None:
    encoder = CharacterWordEncoder("abc", 15)
    cost = encoder.cost_beside_table(10_000)
    assert encoder.size == 525
    filters = sum(15 * width * count + count for width, count in {w: 25 * w for w in range(1, 7)}.items())
    assert cost.parameters == 15 * 7 + filters + 2 * 525 * (525 + 1)
    assert cost.bytes == 4 * cost.parameters
    assert (cost.table_parameters, cost.table_bytes) == (5_250_000, 21_000_000)
    assert make().half().cost_beside_table(7).table_bytes == 7 * 8 * 2
    with pytest.raises(SeqLossError, match="words: found 0"):
        encoder.cost_beside_table(0)


def test_an_encoder_is_saved_with_its_alphabet() -> None:
    encoder = make()
    again = pickle.loads(pickle.dumps(encoder))
    assert torch.equal(again(WORDS), encoder(WORDS))
    fresh = make(gate_bias=1.0)
    fresh.load_state_dict(encoder.state_dict())
    assert torch.equal(fresh(WORDS), encoder(WORDS))


def test_prepared_words_can_be_moved_and_collated() -> None:
    encoder = make()
    prepared = encoder.prepare([["beer", "a"], ["it's"]]).to("cpu", non_blocking=True)
    assert torch.equal(encoder(prepared), encoder([["beer", "a"], ["it's"]]))


def test_prepared_words_compile_without_a_break() -> None:
    encoder = make()
    prepared = encoder.prepare(WORDS)
    compiled = torch.compile(encoder, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(prepared), encoder(prepared))
