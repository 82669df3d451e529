"""What `examine` says of a small model with three faults, as it stands in a terminal."""

from __future__ import annotations

import io

import torch
from rich.console import Console
from torch import nn

from seqloss.doctor import examine
from seqloss.torch import ctc_loss

TEMPLATE = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace;
  font-size: {char_height}px; line-height: {line_height}px; }}
{styles}
</style>
<defs>{lines}</defs>
<rect width="100%" height="100%" rx="8" fill="#0c0c0c"/>
<g transform="translate(9, 9)"><g class="{unique_id}-matrix">{matrix}</g></g>
</svg>
"""
"""Without fonts from the network, which Rich's own template asks for."""


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
    console = Console(record=True, width=110, file=io.StringIO())
    console.print(findings.table())
    return console.export_svg(code_format=TEMPLATE, unique_id="findings")
