"""Recurrent layers of padded rows equal PyTorch's own on packed rows, and read nothing but the rows."""

from __future__ import annotations

import itertools
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seqloss.errors import DTypeError, LengthError, OptionError, ShapeError
from seqloss.torch.nn import Recurrent
from seqloss.torch.nn.padding import reverse_within_lengths

KINDS: dict[str, tuple[type[nn.RNNBase], dict[str, Any]]] = {
    "lstm": (nn.LSTM, {}),
    "gru": (nn.GRU, {}),
    "rnn": (nn.RNN, {}),
    "relu": (nn.RNN, {"nonlinearity": "relu"}),
}
LENGTHS = torch.tensor([4, 7, 1, 5])


def make_torch(kind: str, **options: Any) -> nn.RNNBase:
    torch.manual_seed(0)
    made, own = KINDS[kind]
    return made(3, 5, batch_first=True, dtype=torch.float64, **own, **options)


def make(kind: str, **options: Any) -> Recurrent:
    torch.manual_seed(0)
    own = {} if kind != "relu" else {"nonlinearity": "relu"}
    return Recurrent("rnn" if kind == "relu" else kind, 3, 5, dtype=torch.float64, **own, **options)  # type: ignore[arg-type]


def batch(lengths: Tensor = LENGTHS, time: int = 8, filler: float = torch.nan) -> Tensor:
    x = torch.randn(len(lengths), time, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return x.masked_fill((torch.arange(time) >= lengths[:, None])[:, :, None], filler)


def listed(states: Tensor | tuple[Tensor, ...]) -> list[Tensor]:
    return [states] if isinstance(states, Tensor) else list(states)


def packed(module: nn.RNNBase, x: Tensor, lengths: Tensor, initial: Any) -> list[Tensor]:
    rows = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    outputs, last = module(rows, initial)
    return [pad_packed_sequence(outputs, batch_first=True, total_length=x.shape[1])[0], *listed(last)]


def gradients(found: list[Tensor], inputs: list[Tensor]) -> tuple[Tensor, ...]:
    """With an upstream gradient that differs in every element."""
    total = sum((part * torch.arange(1.0, part.numel() + 1).sin().view_as(part)).sum() for part in found)
    return torch.autograd.grad(total, inputs, retain_graph=True)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "layers", "bidirectional", "bias", "start"),
    [*itertools.product(KINDS, (1, 2), (False, True), (True,), (False,)), *((k, 2, True, False, True) for k in KINDS)],
)
def test_packed_rows_give_the_same(kind: str, layers: int, bidirectional: bool, bias: bool, start: bool) -> None:
    theirs = make_torch(kind, num_layers=layers, bidirectional=bidirectional, bias=bias)
    ours, x = Recurrent.from_torch(theirs), batch().requires_grad_()
    state = torch.rand(layers * (1 + bidirectional), 4, 5, dtype=torch.float64).requires_grad_()
    initial = None if not start else (state, state / 2) if kind == "lstm" else state
    outputs, last = ours(x, LENGTHS, initial)
    expected = packed(theirs, x, LENGTHS, initial)
    torch.testing.assert_close([outputs, *listed(last)], expected)
    wanted = [state] if start else []
    torch.testing.assert_close(
        gradients([outputs, *listed(last)], [x, *ours.parameters(), *wanted]),
        gradients(expected, [x, *theirs.parameters(), *wanted]),
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lengths", [LENGTHS, torch.zeros(4, dtype=torch.long)])
def test_without_the_last_states_outputs_and_gradients_are_the_same(kind: str, lengths: Tensor) -> None:
    ours, x = make(kind, num_layers=2, bidirectional=True), batch(lengths).requires_grad_()
    inputs = [x, *ours.parameters()]
    outputs, last = ours(x, lengths, with_last=False)
    assert last is None
    expected, _ = ours(x, lengths)
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close(gradients([outputs], inputs), gradients([expected], inputs))


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_drawn_and_named_as_by_torch(kind: str) -> None:
    ours, theirs = make(kind, num_layers=2, bidirectional=True), make_torch(kind, num_layers=2, bidirectional=True)
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layer_norm", [False, True])
def test_right_to_left_equals_rows_turned_by_hand(kind: str, layer_norm: bool) -> None:
    ours, ahead = make(kind, right_to_left=True, layer_norm=layer_norm), make(kind, layer_norm=layer_norm)
    x = batch()
    outputs, last = ours(x, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        expected, state = ahead(x[row : row + 1, :length].flip(1))
        torch.testing.assert_close(outputs[row, :length], expected[0].flip(0))
        torch.testing.assert_close([part[:, row] for part in listed(last)], [part[:, 0] for part in listed(state)])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_row_gets_the_same_alone_and_the_padding_gets_nothing(
    kind: str, layer_norm: bool, dtype: torch.dtype
) -> None:
    ours = make(kind, num_layers=2, bidirectional=True, layer_norm=layer_norm).to(dtype)
    lengths = torch.tensor([4, 0, 7, 1])
    close = {"rtol": 1e-4, "atol": 1e-4} if dtype == torch.float32 else {}  # a norm of small states enlarges rounding
    x = batch(lengths, filler=torch.nan).to(dtype).requires_grad_()
    outputs, last = ours(x, lengths)
    for row, length in enumerate(lengths.tolist()):
        alone, state = ours(x[row : row + 1, :length])
        torch.testing.assert_close(outputs[row, :length], alone[0], **close)
        assert (outputs[row, length:] == 0).all()
        torch.testing.assert_close(
            [part[:, row] for part in listed(last)], [part[:, 0] for part in listed(state)], **close
        )
    found = gradients([outputs, *listed(last)], [x, *ours.parameters()])
    assert all(part.isfinite().all() for part in found)
    assert (found[0][(torch.arange(8) >= lengths[:, None])] == 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_of_nan_stays_alone(kind: str) -> None:
    ours, x = make(kind, bidirectional=True), batch()
    expected, _ = ours(x, LENGTHS)
    x[1] = torch.nan
    found, (_h, *_) = ours(x, LENGTHS)
    torch.testing.assert_close(found[[0, 2, 3]], expected[[0, 2, 3]])
    assert found[1, :7].isnan().all()


def test_a_state_that_grows_in_the_padding_does_no_harm() -> None:
    ours = make("relu")
    with torch.no_grad():
        ours.weight_hh_l0.copy_(torch.eye(5) * 20)
        ours.weight_ih_l0.fill_(1.0)
        ours.bias_ih_l0.zero_()
        ours.bias_hh_l0.zero_()
    lengths = torch.tensor([2, 300])
    x = torch.zeros(2, 300, 3, dtype=torch.float64)
    x[0] = 1
    outputs, _ = ours(x, lengths)
    outputs[0].sum().backward()
    assert ours.weight_hh_l0.grad is not None
    assert ours.weight_hh_l0.grad.isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layer_norm", [False, True])
def test_empty_batches_and_rows_have_zeros_and_a_gradient(kind: str, layer_norm: bool) -> None:
    ours = make(kind, layer_norm=layer_norm, bidirectional=True)
    for rows, time in ((0, 4), (2, 0), (2, 4)):
        ours.zero_grad()
        x = torch.full((rows, time, 3), torch.nan, dtype=torch.float64).requires_grad_()
        outputs, last = ours(x, torch.zeros(rows, dtype=torch.int32))
        assert outputs.shape == (rows, time, 10)
        assert (outputs == 0).all()
        assert all(part.shape == (2, rows, 5) and (part == 0).all() for part in listed(last))
        outputs.sum().backward()
        assert (x.grad == 0).all()
        assert all((p.grad == 0).all() for p in ours.parameters())


def by_hand(kind: str, layer: Recurrent, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """One row (time, 3), equations 20 to 22 of Ba et al. as they stand."""
    w = {name.removesuffix("_l0"): value for name, value in layer.named_parameters()}

    def norm(a: Tensor, name: str) -> Tensor:
        deviation = ((a - a.mean()).square().mean() + 1e-5).sqrt()
        return w["gain_" + name] * (a - a.mean()) / deviation + w["bias_" + name]

    h = c = x.new_zeros(5)
    found = []
    for step in x:
        given, own = norm(w["weight_ih"] @ step, "ih"), norm(w["weight_hh"] @ h, "hh")
        if kind == "lstm":
            i, f, g, o = (given + own).split(5)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * norm(c, "c").tanh()
        elif kind == "gru":
            (r, z, a), (own_r, own_z, own_a) = given.split(5), own.split(5)
            z = (z + own_z).sigmoid()
            h = (1 - z) * (a + (r + own_r).sigmoid() * own_a).tanh() + z * h
        else:
            h = (given + own).tanh() if kind == "rnn" else (given + own).relu()
        found.append(h)
    return torch.stack(found), [h, c] if kind == "lstm" else [h]


@pytest.mark.parametrize("kind", KINDS)
def test_layer_norm_equals_the_paper(kind: str) -> None:
    ours = make(kind, layer_norm=True)
    with torch.no_grad():
        for number, parameter in enumerate(ours.parameters()):
            parameter.add_(torch.arange(parameter.numel()).view_as(parameter).add(number).cos() / 3)
    x = batch().requires_grad_()
    outputs, last = ours(x, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        expected, states = by_hand(kind, ours, x[row, :length])
        found = [outputs[row, :length], *(part[0, row] for part in listed(last))]
        torch.testing.assert_close(found, [expected, *states])
        inputs = [x, *ours.parameters()]
        torch.testing.assert_close(gradients(found, inputs), gradients([expected, *states], inputs))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layer_norm", [False, True])
def test_second_derivatives_are_right(kind: str, layer_norm: bool) -> None:
    ours = make(kind, layer_norm=layer_norm)
    lengths, x = torch.tensor([1, 3]), batch(torch.tensor([1, 3]), 3, 0.0).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: ours(x, lengths)[0], (x,))
    if kind == "lstm":  # oneDNN has float32 alone
        single = make(kind, layer_norm=layer_norm).float()
        found = []
        for layer, given in ((ours, x), (single, x.detach().float().requires_grad_())):
            outputs, (_h, c) = layer(given, lengths)
            (g,) = torch.autograd.grad((outputs.square().sum() + c.sin().sum()), given, create_graph=True)
            found.append(
                [
                    one.double()
                    for one in torch.autograd.grad(
                        g.square().sum(), [given, *layer.parameters()], allow_unused=True, materialize_grads=True
                    )
                ]
            )
        torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-5)


def test_variational_dropout_has_one_mask_for_all_steps_of_a_row() -> None:
    ours = make("rnn", dropout=0.4)
    kept = ours.drop_inputs(torch.ones(200, 6, 3, dtype=torch.float64))
    assert (kept == kept[:, :1]).all()
    assert set(kept.unique().tolist()) == {0.0, 1 / 0.6}
    assert 0.3 < (kept[:, 0] == 0).double().mean() < 0.5
    assert not torch.equal(kept[0], kept[1:].mean(0))
    x = batch()
    assert not torch.equal(ours(x, LENGTHS)[0], ours(x, LENGTHS)[0])
    torch.testing.assert_close(ours.eval()(x, LENGTHS), make("rnn")(x, LENGTHS))


def test_weight_dropout_thins_the_recurrent_weights_of_the_whole_call() -> None:
    ours, x = make("gru", weight_dropout=0.999999), batch()
    bare = make("gru")
    with torch.no_grad():
        bare.weight_hh_l0.zero_()
    torch.testing.assert_close(ours(x, LENGTHS), bare(x, LENGTHS))
    torch.testing.assert_close(ours.eval()(x, LENGTHS), make("gru")(x, LENGTHS))


def test_lengths_may_be_left_out_or_a_list() -> None:
    ours, x = make("lstm"), batch(torch.full((4,), 8))
    torch.testing.assert_close(ours(x), ours(x, [8] * 4))
    torch.testing.assert_close(ours(batch(), LENGTHS.tolist()), ours(batch(), LENGTHS.short()))


def test_lengths_that_the_host_does_not_know_give_nan_where_they_are_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, x = make("lstm", bidirectional=True), batch()
    expected, _ = ours(x, LENGTHS)
    monkeypatch.setattr("seqloss.torch.nn.uneven_rows.host_knows", lambda lengths: False)
    for bad in (-1, 9):
        outputs, (h, c) = ours(x, torch.tensor([4, bad, 1, 5]))
        torch.testing.assert_close(outputs[[0, 2, 3]], expected[[0, 2, 3]])
        assert outputs[1].isnan().all()
        assert h[:, 1].isnan().all()
        assert c[:, 1].isnan().all()
        assert h[:, [0, 2, 3]].isfinite().all()


def test_a_pickled_layer_is_the_same() -> None:
    ours = make("lstm", num_layers=2, layer_norm=True)
    torch.testing.assert_close(pickle.loads(pickle.dumps(ours))(batch(), LENGTHS), ours(batch(), LENGTHS))


@pytest.mark.parametrize("layer_norm", [False, True])
def test_autocast_computes_in_a_half_type(layer_norm: bool) -> None:
    ours, x = make("lstm", bidirectional=True, layer_norm=layer_norm).float(), batch().float()
    expected, _ = ours(x, LENGTHS)
    with torch.autocast("cpu", torch.bfloat16):
        found, (_h, _) = ours(x, LENGTHS)
    torch.testing.assert_close(found.float(), expected, rtol=0, atol=0.03)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_one_graph_under_compile_equals_the_eager_layer(kind: str) -> None:
    ours, x = make(kind, bidirectional=True).float(), batch(LENGTHS.clamp(max=3), 3).float()
    lengths = LENGTHS.clamp(max=3)
    torch.compiler.reset()
    found = torch.compile(ours, fullgraph=True, backend="eager")(x, lengths)
    torch.testing.assert_close(found, ours(x, lengths))


def test_an_exported_layer_takes_other_lengths() -> None:
    ours, x = make("lstm").float(), batch(LENGTHS.clamp(max=3), 3, 0.0).float()
    exported = torch.export.export(ours, (x, LENGTHS.clamp(max=3))).module()
    other = torch.tensor([3, 0, 2, 1])
    torch.testing.assert_close(exported(x, other), ours(x, other))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Recurrent("lsmt", 3, 5), OptionError, r"^cell: found 'lsmt', expected one of 'lstm', 'gru'"),  # type: ignore[arg-type]
        (
            lambda: Recurrent("gru", 3, 5, nonlinearity="relu"),
            OptionError,
            "nonlinearity: found 'relu' with cell='gru'",
        ),
        (lambda: make("rnn", nonlinearity="sin"), OptionError, "^nonlinearity: found 'sin'"),
        (lambda: make("gru", bidirectional=True, right_to_left=True), OptionError, "^right_to_left: found together"),
        (lambda: Recurrent("gru", 3, 0), OptionError, "^hidden_size: found 0, expected a whole number"),
        (lambda: make("gru", dropout=1.0), OptionError, r"^dropout: found 1\.0, expected a share"),
        (lambda: make("gru")(torch.zeros(2, 4, 7)), ShapeError, r"^padded: expected shape \(batch, time, 3\)"),
        (lambda: make("gru")(batch(), LENGTHS[:3]), ShapeError, r"^lengths: expected shape \(4,\)"),
        (lambda: make("gru")(batch(), LENGTHS / 8), DTypeError, "^lengths: expected integers, found torch.float64|32"),
        (lambda: make("gru")(batch(), LENGTHS > 0), DTypeError, r"^lengths: expected integers, found torch\.bool"),
        (lambda: make("gru")(batch(), LENGTHS + 4), LengthError, r"^lengths\[1\]: found 11, expected 0 to 8"),
        (lambda: make("gru")(batch(), LENGTHS - 2), LengthError, r"^lengths\[2\]: found -1, expected 0 to 8"),
        (lambda: make("gru")(batch(), None, torch.zeros(1, 3, 5)), ShapeError, r"^initial h: expected shape \(layers"),
        (lambda: make("lstm")(batch(), None, torch.zeros(1, 4, 5)), ShapeError, "^initial: found 1 states, expected"),
        (
            lambda: Recurrent.from_torch(nn.Linear(3, 5)),
            DTypeError,
            "^from_torch: expected a torch.nn.LSTM, GRU or RNN,",
        ),  # type: ignore[arg-type]
        (lambda: Recurrent.from_torch(nn.LSTM(3, 5, proj_size=2)), OptionError, "^from_torch: found proj_size=2"),
        (lambda: Recurrent.from_torch(nn.LSTM(3, 5, 2, dropout=0.5)), OptionError, r"^from_torch: found dropout=0\.5"),
    ],
)
def test_bad_input_is_refused(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_a_state_dict_of_another_shape_is_refused() -> None:
    with pytest.raises(RuntimeError, match="size mismatch for weight_hh_l0"):
        make("lstm").load_state_dict(nn.LSTM(3, 6).state_dict())


def test_rows_are_reversed_within_their_lengths() -> None:
    rows = torch.arange(8.0).reshape(2, 4, 1)
    assert reverse_within_lengths(rows, torch.tensor([4, 2]))[:, :, 0].tolist() == [[3, 2, 1, 0], [5, 4, 6, 7]]
