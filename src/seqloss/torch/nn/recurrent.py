"""Recurrent layers for padded batches of uneven rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqloss.errors import OptionError, ShapeError, unknown_option, wrong_dtype, wrong_rank
from seqloss.torch.nn.layer_norm_cells import NormWeights, read_normalised
from seqloss.torch.nn.recurrent_cells import CELLS, States, read_plain
from seqloss.torch.nn.sizes import check_shares, check_sizes
from seqloss.torch.nn.uneven_rows import UnevenRows, read_rows

CellName = Literal["lstm", "gru", "rnn", "elman"]
NAMES = ("lstm", "gru", "rnn", "elman")


class Recurrent(nn.Module):
    """Read padded rows of uneven length with an LSTM, GRU or Elman network, without sorting or packing them.

    Outputs and last states are those of torch.nn.LSTM, GRU and RNN for packed rows with the same weights. Parameters
    have the same names, so a state_dict of these modules can be loaded (`from_torch` does both). The padding is never
    read: it may hold NaN, and its gradient is exactly 0. A row's result does not depend on the rest of the batch,
    except for rounding. All rows are read from their first step on, and the reverse direction reads each row reversed
    within its length, so that PyTorch's fast kernels for padded batches serve.

    With `layer_norm`, the products W x and U h of each step are normalised over all gates, and so is the LSTM's c
    before its output (Ba et al., equations 20 to 22). This reads step by step in Python.

    Args:
        cell: "lstm", "gru", or "rnn" (also "elman").
        input_size: features of a step.
        hidden_size: features of the state.
        num_layers: each further layer reads the outputs of the one before.
        bias: whether the cells (and their norms) have biases.
        bidirectional: a second cell in each layer reads from right to left; the outputs of both are concatenated.
        right_to_left: the only cell of each layer reads from right to left.
        nonlinearity: of "rnn": "tanh" or "relu".
        layer_norm: whether to normalise inside the cells.
        dropout: share of the inputs of each layer that are set to 0 in training. Each row and layer has one mask for
            all steps (variational dropout). That of torch.nn draws one for each step, and none for the first layer.
        weight_dropout: share of the recurrent weights U that are set to 0 in training, with one mask per layer for the
            batch and all steps (DropConnect).
        device: of the weights.
        dtype: of the weights.

    Raises:
        OptionError: an option has an unknown value, or two exclude each other.
        ShapeError: the input, the lengths or the initial state have the wrong shape, in a call.
        DTypeError: lengths that are no integers, in a call.
        LengthError: a length outside of the time axis, in a call. Lengths on an accelerator, and traced ones, are not
            looked at: such a row gets NaN.

    Example:
        >>> import torch
        >>> from seqloss.torch.nn import Recurrent
        >>> layer = Recurrent("lstm", 3, 5, num_layers=2, bidirectional=True)
        >>> outputs, (h, c) = layer(torch.randn(2, 7, 3), torch.tensor([4, 7]))
        >>> outputs.shape, h.shape
        (torch.Size([2, 7, 10]), torch.Size([4, 2, 5]))
        >>> outputs[0, 4:].abs().sum().item()  # padding
        0.0
        >>> torch.equal(h[2, :, :], outputs[[0, 1], [3, 6], :5])  # forward, top layer
        True

    References:
        J. L. Ba, J. R. Kiros, G. E. Hinton, "Layer normalization", arXiv 1607.06450, 2016.
        Y. Gal, Z. Ghahramani, "A theoretically grounded application of dropout in recurrent neural networks", NIPS
        2016.
        S. Merity, N. S. Keskar, R. Socher, "Regularizing and optimizing LSTM language models", ICLR 2018: DropConnect.
    """

    def __init__(
        self, cell: CellName, input_size: int, hidden_size: int, num_layers: int = 1, *, bias: bool = True,
        bidirectional: bool = False, right_to_left: bool = False, nonlinearity: Literal["tanh", "relu"] = "tanh",
        layer_norm: bool = False, dropout: float = 0.0, weight_dropout: float = 0.0,
        device: torch.device | str | None = None, dtype: torch.dtype | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        check_options(cell, nonlinearity, bidirectional and right_to_left)
        check_sizes(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        check_shares(dropout=dropout, weight_dropout=weight_dropout)
        self.kind = f"rnn_{nonlinearity}" if cell in ("rnn", "elman") else cell
        self.input_size, self.hidden_size, self.num_layers, self.bias = input_size, hidden_size, num_layers, bias
        self.layer_norm, self.dropout, self.weight_dropout = layer_norm, dropout, weight_dropout
        self.bidirectional, self.right_to_left = bidirectional, right_to_left
        rows = CELLS[self.kind].gates * hidden_size
        for layer in range(num_layers):
            features = input_size if layer == 0 else hidden_size * (1 + bidirectional)
            for end in self.ends(layer):
                shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, features), "weight_hh": (rows, hidden_size)}
                shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)} if bias else {}
                shapes |= {"gain_ih": (rows,), "gain_hh": (rows,)} if layer_norm else {}
                shapes |= {"gain_c": (hidden_size,)} if layer_norm and self.kind == "lstm" else {}
                shapes |= {"bias_c": (hidden_size,)} if layer_norm and self.kind == "lstm" and bias else {}
                for name, shape in shapes.items():
                    empty = torch.empty(shape, device=device, dtype=dtype)
                    self.register_parameter(name + end, nn.Parameter(empty))
        self.reset_parameters()

    def ends(self, layer: int) -> tuple[str, ...]:
        """The ends of the names of each direction's weights, as torch.nn has them."""
        return (f"_l{layer}", f"_l{layer}_reverse") if self.bidirectional else (f"_l{layer}",)

    @classmethod
    def from_torch(cls, module: nn.RNNBase, *, dropout: float | None = None, **options: Any) -> Recurrent:
        """A layer with the sizes and (a copy of) the weights of torch.nn.LSTM, GRU or RNN.

        Args:
            module: its `batch_first` does not matter: this layer is always batch first.
            dropout: needed if the module has dropout, which is of another kind.
            **options: `right_to_left`, `weight_dropout`.

        Raises:
            DTypeError: it is none of these modules.
            OptionError: the module has projections, or dropout.
        """
        if not isinstance(module, nn.RNNBase):
            advice = "give the recurrent layer itself, such as model.lstm"
            raise wrong_dtype("from_torch", type(module).__name__, "a torch.nn.LSTM, GRU or RNN", advice)
        if module.proj_size:
            raise OptionError(f"from_torch: found proj_size={module.proj_size}, expected a module without projections.")
        if module.dropout and dropout is None:
            raise OptionError(
                f"from_torch: found dropout={module.dropout}, which draws a mask for each step; give the share for "
                "variational dropout here: from_torch(module, dropout=...)."
            )
        nonlinearity, weight = getattr(module, "nonlinearity", "tanh"), cast(Tensor, module.weight_ih_l0)
        cell, sizes = module.mode.partition("_")[0].lower(), (module.input_size, module.hidden_size, module.num_layers)
        made = cls(
            cell, *sizes, bias=module.bias, bidirectional=module.bidirectional, nonlinearity=nonlinearity,  # type: ignore[arg-type]
            dropout=dropout or 0.0, device=weight.device, dtype=weight.dtype, **options,
        )  # fmt: skip
        made.load_state_dict(module.state_dict())
        return made.train(module.training)

    def reset_parameters(self) -> None:
        """Uniform from -1 / sqrt(hidden_size) to 1 / sqrt(hidden_size), as torch.nn draws them; gains are 1."""
        limit = 1 / math.sqrt(self.hidden_size)
        for name, parameter in self.named_parameters():
            if name.startswith("gain"):
                nn.init.ones_(parameter)
            elif name.startswith("bias") and self.layer_norm:
                nn.init.zeros_(parameter)
            else:
                nn.init.uniform_(parameter, -limit, limit)

    def forward(
        self,
        padded: Tensor,
        lengths: Tensor | Sequence[int] | None = None,
        initial: Tensor | States | None = None,
        *,
        with_last: bool = True,
    ) -> tuple[Tensor, Any]:
        """Outputs of every step, and the last states.

        Args:
            padded: (batch, time, input_size).
            lengths: steps of each row, integers (batch,), on any device; None for all steps. A row of length 0 keeps
                its initial state.
            initial: the state before the first step that is read, of the shape of the last states; None for 0.
            with_last: whether the last states are needed. Keeping an LSTM's c through the padding takes one more
                input, with which bfloat16 on a CPU is 1.6 times as slow.

        Returns:
            Outputs (batch, time, hidden_size), twice as wide if bidirectional, 0 in the padding, and the state of each
            cell after it has read the row, (layers * directions, batch, hidden_size): h, or (h, c) for an LSTM. From
            right to left, this is the state at the row's first step. None in its place with `with_last=False`.
        """
        batch, time = self.check_input(padded)
        rows, states = read_rows(padded, lengths), self.initial_states(padded, initial)
        if not batch or not rows.steps:
            outputs, unchanged = self.read_nothing(padded, rows, states)
            return outputs, unchanged if with_last else None
        x = rows.clear(padded)
        last: list[States] = []
        for layer in range(self.num_layers):
            x, both = self.drop_inputs(x), []
            for end in self.ends(layer):
                found, after = self.read(x, rows, end, tuple(state[len(last)] for state in states), with_last)
                both.append(rows.clear(found))
                last.append(after)
            x = torch.cat(both, dim=2) if len(both) > 1 else both[0]
        x = F.pad(x, (0, 0, 0, time - rows.steps)) if time > rows.steps else x
        x = rows.spoil(x, 0)
        if not with_last:
            return x, None
        return x, self.joined(rows.spoil(torch.stack(every), 1) for every in zip(*last, strict=True))

    def joined(self, states: Any) -> Tensor | States:
        """(h, c) for an LSTM, otherwise h."""
        found = tuple(states)
        return found if self.kind == "lstm" else found[0]

    def read(self, x: Tensor, rows: UnevenRows, end: str, states: States, with_last: bool) -> tuple[Tensor, States]:
        """Outputs of one cell (batch, steps, hidden), and its last states; an LSTM's c is none without `with_last`."""
        backward = self.right_to_left or end.endswith("_reverse")
        x = rows.reverse(x) if backward else x
        weights = self.parameters_of(end, "weight_ih", "weight_hh", "bias_ih", "bias_hh")
        weights["weight_hh"] = F.dropout(weights["weight_hh"], self.weight_dropout, self.training)
        if self.layer_norm:
            outputs, last = self.read_step_by_step(x, rows, end, states, weights)
        else:
            given = [weight for weight in weights.values() if weight is not None]
            kept = rows.real if with_last or self.kind != "lstm" else None
            outputs, *cells = read_plain(CELLS[self.kind], x, kept, states, given)
            last = (rows.last_of(outputs, states[0]), *cells)
        return rows.reverse(outputs) if backward else outputs, last

    def parameters_of(self, end: str, *names: str) -> dict[str, Any]:
        """Parameters of one cell by name; None for those that it lacks."""
        return {name: getattr(self, name + end, None) for name in names}

    def read_step_by_step(
        self, x: Tensor, rows: UnevenRows, end: str, states: States, weights: dict[str, Any]
    ) -> tuple[Tensor, States]:
        norms = self.parameters_of(end, "gain_ih", "gain_hh", "gain_c", "bias_c")
        norm = NormWeights(bias_ih=weights["bias_ih"], bias_hh=weights["bias_hh"], **norms)
        found = read_normalised(self.kind, x, states, weights["weight_ih"], weights["weight_hh"], norm)
        return found[0], tuple(map(rows.last_of, found, states))

    def drop_inputs(self, x: Tensor) -> Tensor:
        """Set features of each row to 0, the same in all steps."""
        if not (self.dropout and self.training):
            return x
        return x * F.dropout(x.new_ones(x.shape[0], 1, x.shape[2]), self.dropout)

    def initial_states(self, padded: Tensor, initial: Tensor | States | None) -> States:
        """(h,) or (h, c), each (layers * directions, batch, hidden)."""
        shape = (self.num_layers * (1 + self.bidirectional), padded.shape[0], self.hidden_size)
        names = ("h", "c")[: CELLS[self.kind].states]
        if initial is None:
            return (padded.new_zeros(shape),) * len(names)
        states = (initial,) if isinstance(initial, Tensor) else tuple(initial)
        if len(states) != len(names):
            raise ShapeError(f"initial: found {len(states)} states, expected ({', '.join(names)}) for {self.kind}.")
        for name, state in zip(names, states, strict=True):
            if state.shape != shape:
                raise wrong_rank(f"initial {name}", state.shape, f"(layers * directions, batch, hidden) = {shape}")
        return states

    def check_input(self, padded: Tensor) -> tuple[int, int]:
        if padded.dim() != 3 or padded.shape[2] != self.input_size:
            raise wrong_rank("padded", padded.shape, f"(batch, time, {self.input_size})")
        return padded.shape[0], padded.shape[1]

    def read_nothing(self, padded: Tensor, rows: UnevenRows, states: States) -> tuple[Tensor, Tensor | States]:
        """Outputs and states without any step, that have a gradient of 0 for the parameters, as an empty sum has."""
        nothing = sum((p.flatten()[:0].sum() for p in self.parameters()), padded.flatten()[:0].sum())
        outputs = padded.new_zeros(*padded.shape[:2], self.hidden_size * (1 + self.bidirectional)) + nothing
        return rows.spoil(outputs, 0), self.joined(rows.spoil(state + nothing, 1) for state in states)

    def extra_repr(self) -> str:
        options = ("num_layers", "bidirectional", "right_to_left", "layer_norm", "dropout", "weight_dropout")
        chosen = "".join(f", {name}={getattr(self, name)}" for name in options if getattr(self, name))
        return f"{self.kind!r}, {self.input_size}, {self.hidden_size}{chosen}{'' if self.bias else ', bias=False'}"


def check_options(cell: str, nonlinearity: str, both: bool) -> None:
    """Raise `OptionError` for options that are unknown or exclude each other.

    Args:
        cell: its name.
        nonlinearity: of an Elman network.
        both: whether right_to_left and bidirectional were given.
    """
    if cell not in NAMES:
        raise unknown_option("cell", cell, NAMES)
    if nonlinearity not in ("tanh", "relu"):
        raise unknown_option("nonlinearity", nonlinearity, ("tanh", "relu"))
    if nonlinearity == "relu" and cell in ("lstm", "gru"):
        raise OptionError(f"nonlinearity: found 'relu' with cell={cell!r}, expected it with 'rnn' alone.")
    if both:
        raise OptionError("right_to_left: found together with bidirectional, expected one of them; both read that way.")
