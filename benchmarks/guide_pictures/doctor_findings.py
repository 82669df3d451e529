"""What `examine` says of a small model with three faults, as it stands in a terminal."""

from __future__ import annotations

import torch
from terminal_svg import draw_terminal
from torch import nn

from seqloss.doctor import examine
from seqloss.torch import ctc_loss

COLUMNS = 84


class Recogniser(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.GRU(8, 32, batch_first=True)
        self.norm = nn.LayerNorm(32)  # not called
        self.head = nn.Linear(32, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(x)[0]).softmax(-1)  # ctc_loss takes scores before softmax


def draw() -> str:
    torch.manual_seed(0)
    model = Recogniser()
    optimizer = torch.optim.Adam(model.head.parameters())  # not the encoder's
    batches = [(torch.randn(6, 20, 8), torch.randint(1, 6, (6, 4))) for _ in range(2)]
    findings = examine(
        model, batches, lambda model, batch: ctc_loss(model(batch[0]), batch[1], reduction="mean"), optimizer=optimizer
    )
    return draw_terminal(findings.table(), COLUMNS, "findings")
