"""The sequence autoencoder equals a plain one, row by row and step by step; differences can be undone."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seqloss.errors import DTypeError, LengthError, OptionError, ShapeError
from seqloss.torch.nn import SequenceAutoencoder, difference

LENGTHS = torch.tensor([4, 6, 1, 5])
INPUTS = ("code", "previous")


def make(**options: Any) -> SequenceAutoencoder:
    torch.manual_seed(0)
    return SequenceAutoencoder(3, 4, dtype=torch.float64, **options)


def batch(lengths: Tensor = LENGTHS, time: int = 7, filler: float = torch.nan) -> Tensor:
    x = torch.randn(len(lengths), time, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return x.masked_fill((torch.arange(time) >= lengths[:, None])[:, :, None], filler)


def gradients(found: Tensor, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    """With an upstream gradient that differs in every element."""
    upstream = torch.arange(1.0, found.numel() + 1).sin().view_as(found)
    return torch.autograd.grad((found * upstream).sum(), inputs, retain_graph=True)


def plain_cell(weights: dict[str, Tensor], end: str, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """One step of an LSTM, as its equations stand in textbooks."""
    gates = (
        weights["weight_ih" + end] @ x + weights["bias_ih" + end]
        + weights["weight_hh" + end] @ h + weights["bias_hh" + end]
    )  # fmt: skip
    i, f, g, o = gates.chunk(4)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def plain_reading(weights: dict[str, Tensor], end: str, steps: list[Tensor], h: Tensor, c: Tensor) -> Any:
    outputs = []
    for x in steps:
        h, c = plain_cell(weights, end, x, h, c)
        outputs.append(h)
    return outputs, h, c


def plain_row(model: SequenceAutoencoder, row: list[Tensor]) -> Tensor:
    """The reconstruction of one row without padding: one cell, one step at a time."""
    encoder, decoder = dict(model.encoder.named_parameters()), dict(model.decoder.named_parameters())
    layers, steps, states = model.encoder.num_layers, row, []
    for layer in range(layers):
        size = model.encoder.hidden_size
        zero = torch.zeros(size, dtype=torch.float64)
        forward, h, c = plain_reading(encoder, f"_l{layer}", steps, zero, zero)
        if model.encoder.bidirectional:
            backward, h2, c2 = plain_reading(encoder, f"_l{layer}_reverse", steps[::-1], zero, zero)
            forward = [torch.cat(pair) for pair in zip(forward, backward[::-1], strict=True)]
            h, c = torch.cat([h, h2]), torch.cat([c, c2])
        states.append((h, c))
        steps = forward
    code = states[-1][0]
    true = row[::-1] if model.reverse_targets else row
    found = [model.head.weight @ code + model.head.bias] if model.decoder_input == "previous" else []
    for k in range(len(row) - len(found)):
        x = code if model.decoder_input == "code" else true[k] if model.training else found[-1]
        for layer, (h, c) in enumerate(states):
            x, c = plain_cell(decoder, f"_l{layer}", x, h, c)
            states[layer] = (x, c)
        found.append(model.head.weight @ x + model.head.bias)
    return torch.stack(found[::-1] if model.reverse_targets else found)


@pytest.mark.parametrize(
    ("given", "layers", "bidirectional", "reverse", "training"),
    [*itertools.product(INPUTS, (1, 2), (False, True), (False, True), (False, True))],
)
def test_a_plain_autoencoder_gives_the_same(
    given: str, layers: int, bidirectional: bool, reverse: bool, training: bool
) -> None:
    model = make(num_layers=layers, bidirectional=bidirectional, reverse_targets=reverse, decoder_input=given)
    model.train(training)
    x = batch().requires_grad_()
    found = model(x, LENGTHS)
    rows = [plain_row(model, list(x[row, :length])) for row, length in enumerate(LENGTHS.tolist())]
    expected = torch.stack([nn.functional.pad(row, (0, 0, 0, 7 - len(row))) for row in rows])
    torch.testing.assert_close(found, expected)
    inputs = [x, *model.parameters()]
    torch.testing.assert_close(gradients(found, inputs), gradients(expected, inputs))


def test_the_decoder_goes_backward_unless_the_encoder_reads_both_ways() -> None:
    assert make().reverse_targets
    assert not make(bidirectional=True).reverse_targets


@pytest.mark.parametrize("given", INPUTS)
@pytest.mark.parametrize("training", [False, True])
def test_a_row_gets_the_same_alone_and_the_padding_gets_nothing(given: str, training: bool) -> None:
    model = make(decoder_input=given).train(training)
    lengths = torch.tensor([4, 0, 6, 1])
    x = batch(lengths).requires_grad_()
    found, codes = model(x, lengths), model.encode(x, lengths)
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(found[row, :length], model(x[row : row + 1, :length])[0])
        torch.testing.assert_close(codes[row], model.encode(x[row : row + 1, :length])[0])
        assert (found[row, length:] == 0).all()
    assert (codes[1] == 0).all()
    parts = gradients(found, [x, *model.parameters()])
    assert all(part.isfinite().all() for part in parts)
    assert (parts[0][torch.arange(7) >= lengths[:, None]] == 0).all()


@pytest.mark.parametrize("given", INPUTS)
@pytest.mark.parametrize("shape", [(0, 7, 3), (2, 0, 3), (0, 0, 3)])
def test_empty_batches_give_empty_results(given: str, shape: tuple[int, ...]) -> None:
    for training in (False, True):
        model = make(decoder_input=given).train(training)
        assert model(torch.zeros(shape, dtype=torch.float64)).shape == shape
        found = model(torch.zeros(shape, dtype=torch.float64), torch.zeros(shape[0], dtype=torch.long))
        assert found.shape == shape


@pytest.mark.parametrize("given", INPUTS)
def test_a_batch_of_rows_of_length_0_has_no_reconstruction(given: str) -> None:
    for training in (False, True):
        found = make(decoder_input=given).train(training)(batch(), torch.zeros(4, dtype=torch.long))
        assert found.shape == (4, 7, 3)
        assert (found == 0).all()


@pytest.mark.parametrize("given", INPUTS)
def test_a_row_of_nan_stays_alone(given: str) -> None:
    model, x = make(decoder_input=given), batch()
    expected = model(x, LENGTHS)
    x[1, 2] = torch.nan
    found = model(x, LENGTHS)
    torch.testing.assert_close(found[[0, 2, 3]], expected[[0, 2, 3]])
    assert found[1, :6].isnan().all()


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(OptionError, match="decoder_input: found 'none', expected one of 'code', 'previous'"):
        make(decoder_input="none")
    with pytest.raises(OptionError, match="hidden_size: found 5, expected an even number with bidirectional=True"):
        SequenceAutoencoder(3, 5, bidirectional=True)
    with pytest.raises(OptionError, match="hidden_size: found 0, expected a whole number of at least 1"):
        SequenceAutoencoder(3, 0)
    with pytest.raises(ShapeError, match=r"padded: expected shape \(batch, time, 3\), found \(4, 7, 2\)"):
        make()(batch()[:, :, :2])
    with pytest.raises(LengthError, match=r"lengths\[1\]: found 8, expected 0 to 7"):
        make()(batch(), torch.tensor([4, 8, 1, 5]))
    with pytest.raises(DTypeError, match="lengths: expected integers"):
        make()(batch(), torch.tensor([4.0, 6, 1, 5]))


# --- differences


@pytest.mark.parametrize("lengths", [None, LENGTHS, torch.tensor([7, 0, 1, 2]), torch.tensor([0, 0, 0, 0])])
def test_differences_are_undone(lengths: Tensor | None) -> None:
    x = batch(torch.full((4,), 7) if lengths is None else lengths)
    found = difference(x, lengths)
    assert found.values.shape == (4, 6, 3)
    for row, length in enumerate([7] * 4 if lengths is None else lengths.tolist()):
        torch.testing.assert_close(found.values[row, : max(0, length - 1)], x[row, :length].diff(dim=0))
        assert (found.values[row, max(0, length - 1) :] == 0).all()
    torch.testing.assert_close(found.undo(), x.nan_to_num(0))


def test_other_differences_are_undone_from_the_first_step_without_their_padding() -> None:
    found = difference(batch(), LENGTHS)
    other = torch.full_like(found.values, 2.0)
    other[0, 3:] = torch.nan
    rows = found.undo(other)
    torch.testing.assert_close(rows[0, :4], batch()[0, 0] + 2.0 * torch.arange(4.0, dtype=torch.float64)[:, None])
    assert (rows[0, 4:] == 0).all()
    with pytest.raises(ShapeError, match=r"values: expected shape that of the differences, \(4, 6, 3\)"):
        found.undo(other[:, :5])


def test_the_gradient_of_differences_and_sums_is_that_of_a_plain_version() -> None:
    x = batch().requires_grad_()
    found = difference(x, LENGTHS)
    mine = gradients(found.undo(found.values.sin()), [x])[0]
    plain = [x[row, :length] for row, length in enumerate(LENGTHS.tolist())]
    rows = [torch.cat([row[:1], row[:1] + row.diff(dim=0).sin().cumsum(0)]) for row in plain]
    expected = torch.stack([nn.functional.pad(row, (0, 0, 0, 7 - len(row))) for row in rows])
    torch.testing.assert_close(mine, gradients(expected, [x])[0])
    assert (mine[torch.arange(7) >= LENGTHS[:, None]] == 0).all()


def test_differences_of_nothing_and_of_integers_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"padded: expected shape \(batch, time, features\) with at least one step"):
        difference(torch.zeros(2, 0, 3))
    for kind in (torch.uint8, torch.int8, torch.bool):  # 1 - 3 and 100 - (-100) wrap around
        with pytest.raises(DTypeError, match=rf"padded: expected floats, found {kind}; .*padded\.float\(\)"):
            difference(torch.ones(2, 4, 3, dtype=kind))
    with pytest.raises(LengthError, match=r"lengths\[0\]: found 8"):
        difference(batch(), [8, 1, 1, 1])
