"""Gates of recurrent layers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from seqloss.torch.nn import Recurrent

from .models import Reader, names


@pytest.mark.parametrize("kind", ["torch", "seqloss"])
@pytest.mark.parametrize(("bias", "expected"), [(-2.0, ["layer-blocked"]), (0.0, []), (1.0, [])])
def test_an_lstm_that_forgets_is_named(kind: str, bias: float, expected: list[str]) -> None:
    model = Reader()
    layer = model.recurrent
    if kind == "torch":
        model.other = nn.LSTM(16, 16, batch_first=True)
        layer, encode = model.other, model.encode
        model.encode = lambda x, lengths: (  # type: ignore[method-assign]
            model.other(encode(x, lengths)[0])[0], (lengths + 1) // 2)  # fmt: skip
    with torch.no_grad():
        for name, found in layer.named_parameters():
            if name.startswith("bias_ih"):
                found.chunk(4)[1].fill_(bias)
    assert names(model) == expected


def test_other_cells_have_no_forget_gate() -> None:
    model = Reader()
    model.recurrent = Recurrent("gru", 8, 8, bidirectional=True)
    assert names(model) == []
