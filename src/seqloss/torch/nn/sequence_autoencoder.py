"""An LSTM autoencoder of whole sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from seqloss.errors import OptionError, unknown_option, wrong_rank
from seqloss.torch.nn.recurrent import Recurrent
from seqloss.torch.nn.recurrent_cells import States
from seqloss.torch.nn.sizes import check_sizes
from seqloss.torch.nn.uneven_rows import UnevenRows, read_rows

DECODER_INPUTS = ("code", "previous")

GAIN = 2.0
"""Of the recurrent weights of each gate at the start, orthogonal matrices. With the usual small ones, the states of the
decoder hardly differ from step to step, and a training predicts the average for hundreds of steps."""


class SequenceAutoencoder(nn.Module):
    """Reconstruct padded rows of uneven length from a code of fixed size, the last states of an LSTM.

        h, c = encoder(x(1) ... x(L))
        x'(L), x'(L - 1) ... x'(1) = linear(decoder from the states h, c)

    The decoder begins with the last step, which the encoder has read last (Malhotra et al.). The padding is never read:
    it may hold NaN, and its gradient is exactly 0. A row's result does not depend on the rest of the batch, except for
    rounding. Rows that the autoencoder has not learnt are reconstructed badly, so the error tells anomalies:
    `seqloss.numpy.ErrorDistribution`.

    Args:
        features: of a step.
        hidden_size: values of h: the code. If it is too small, the reconstruction is little more than the mean.
        num_layers: of encoder and decoder.
        bidirectional: the encoder reads in both directions, with half of the hidden size in each.
        reverse_targets: whether the decoder goes from the last step to the first. None: unless the encoder is
            bidirectional.
        decoder_input: what the decoder reads at each step. "code": the encoder's last h. "previous", as in the paper:
            the step before it in its own order; in training the true one, else the reconstructed one, step by step.
            Then the first step that is decoded is linear(h), without a step of the decoder.
        device: of the weights.
        dtype: of the weights.

    Raises:
        OptionError: an option has an unknown value, or the hidden size is odd with `bidirectional`.
        ShapeError: the rows or the lengths have the wrong shape, in a call.
        DTypeError: lengths that are no integers, in a call.
        LengthError: a length outside of the time axis, in a call. Lengths on an accelerator, and traced ones, are not
            looked at: such a row gets NaN.

    Example:
        >>> import torch
        >>> from seqloss.torch.nn import SequenceAutoencoder
        >>> _ = torch.manual_seed(0)
        >>> model = SequenceAutoencoder(2, 16)
        >>> rows = torch.randn(3, 6, 2)
        >>> lengths = torch.tensor([6, 4, 5])
        >>> optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        >>> real = torch.arange(6) < lengths[:, None]
        >>> for _ in range(150):
        ...     optimizer.zero_grad()
        ...     loss = (model(rows, lengths) - rows)[real].square().mean()
        ...     loss.backward()
        ...     optimizer.step()
        >>> bool(loss < 0.05), model.encode(rows, lengths).shape
        (True, torch.Size([3, 16]))

    References:
        P. Malhotra, A. Ramakrishnan, G. Anand, L. Vig, P. Agarwal, G. Shroff, "LSTM-based encoder-decoder for
        multi-sensor anomaly detection", arXiv 1607.00148, 2016.
    """

    def __init__(
        self, features: int, hidden_size: int, num_layers: int = 1, *, bidirectional: bool = False,
        reverse_targets: bool | None = None, decoder_input: Literal["code", "previous"] = "code",
        device: torch.device | str | None = None, dtype: torch.dtype | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        check_sizes(features=features, hidden_size=hidden_size, num_layers=num_layers)
        if decoder_input not in DECODER_INPUTS:
            raise unknown_option("decoder_input", decoder_input, DECODER_INPUTS)
        if bidirectional and hidden_size % 2:
            raise OptionError(
                f"hidden_size: found {hidden_size}, expected an even number with bidirectional=True: each direction "
                "has half of it."
            )
        self.features, self.hidden_size, self.decoder_input = features, hidden_size, decoder_input
        self.reverse_targets = not bidirectional if reverse_targets is None else reverse_targets
        own = hidden_size // 2 if bidirectional else hidden_size
        given = hidden_size if decoder_input == "code" else features
        made = {"device": device, "dtype": dtype}
        self.encoder = Recurrent("lstm", features, own, num_layers, bidirectional=bidirectional, **made)  # type: ignore[arg-type]
        self.decoder = Recurrent("lstm", given, hidden_size, num_layers, **made)  # type: ignore[arg-type]
        self.head = nn.Linear(hidden_size, features, **made)  # type: ignore[arg-type]
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As torch.nn draws them, but the recurrent weights of each gate are orthogonal, times 2."""
        self.head.reset_parameters()
        for part in (self.encoder, self.decoder):
            part.reset_parameters()
            for name, weight in part.named_parameters():
                if name.startswith("weight_hh"):
                    for gate in weight.detach().split(part.hidden_size):
                        nn.init.orthogonal_(gate, GAIN)

    def forward(self, padded: Tensor, lengths: Tensor | Sequence[int] | None = None) -> Tensor:
        """The reconstruction of each row, in the row's own order.

        Args:
            padded: (batch, time, features).
            lengths: steps of each row, integers (batch,), on any device; None for all steps. A row of length 0 has no
                reconstruction.

        Returns:
            Rows (batch, time, features), 0 in the padding.
        """
        states = self.encode_states(padded, lengths)
        rows, time = read_rows(padded, lengths), padded.shape[1]
        if self.decoder_input == "code":
            found = self.decode_code(states, rows)
        elif self.training:
            found = self.decode_true_steps(padded, states, rows)
        else:
            found = self.decode_own_steps(states, rows)
        found = rows.clear(rows.reverse(found) if self.reverse_targets else found)
        return rows.spoil(nn.functional.pad(found, (0, 0, 0, time - rows.steps)), 0)

    def encode(self, padded: Tensor, lengths: Tensor | Sequence[int] | None = None) -> Tensor:
        """The code of each row, (batch, hidden_size): the last h of the top layer; 0 for a row of length 0."""
        return self.encode_states(padded, lengths)[0][-1]

    def encode_states(self, padded: Tensor, lengths: Tensor | Sequence[int] | None = None) -> States:
        """(h, c) with which the decoder begins, each (layers, batch, hidden_size)."""
        if padded.dim() != 3 or padded.shape[2] != self.features:
            raise wrong_rank("padded", padded.shape, f"(batch, time, {self.features})")
        _, states = self.encoder(padded, lengths)
        return tuple(self.join_directions(state) for state in states)

    def join_directions(self, state: Tensor) -> Tensor:
        """(layers * directions, batch, size) to (layers, batch, directions * size)."""
        layers = self.encoder.num_layers
        found = state.unflatten(0, (layers, len(state) // layers))  # (layers, directions, batch, size)
        return found.transpose(1, 2).flatten(2)

    # Below, steps are in the order in which they are decoded; all rows begin with the first one.

    def decode_code(self, states: States, rows: UnevenRows) -> Tensor:
        code = states[0][-1][:, None].expand(-1, rows.steps, -1)
        outputs, _ = self.decoder(code, None, states, with_last=False)
        found: Tensor = self.head(outputs)
        return found

    def decode_true_steps(self, padded: Tensor, states: States, rows: UnevenRows) -> Tensor:
        true = rows.clear(padded)
        true = rows.reverse(true) if self.reverse_targets else true
        outputs, _ = self.decoder(true[:, :-1], None, states, with_last=False)
        found: Tensor = self.head(torch.cat([states[0][-1][:, None], outputs], dim=1))
        return found[:, : rows.steps]

    def decode_own_steps(self, states: States, rows: UnevenRows) -> Tensor:
        found = [self.head(states[0][-1][:, None])]
        for _ in range(rows.steps - 1):
            outputs, states = self.decoder(found[-1], None, states)
            found.append(self.head(outputs))
        return torch.cat(found, dim=1)[:, : rows.steps]
