"""What every recipe promises: it is examined, and ends with the same weights as one that is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from seqloss.doctor.findings import Findings
from seqloss.training.checkpoints import load_checkpoint
from seqloss.training.findings import read_findings
from seqloss.training.run import Run


def examine_and_compare(train: Callable[..., Any], data: Path | None, folder: Path, **options: Any) -> Findings:
    """Train one epoch with the examination and without; compare all weights; return what was found."""
    lines: list[str] = []
    train(data, folder / "examined", examine=True, epochs=1, print_line=lines.append, **options)
    train(data, folder / "not", examine=False, epochs=1, **options)
    one, other = (
        load_checkpoint(folder / name / "checkpoints" / "last.ckpt")["state_dict"] for name in ("examined", "not")
    )
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
    assert read_findings(Run(folder / "not")) is None
    found = read_findings(Run(folder / "examined"))
    assert found is not None
    assert {"ledger", "mode", "outputs", "loss", "schedule"} <= set(found.checked), found
    if not found:
        assert any(line.startswith(f"    examined: {len(found.checked)} laws hold") for line in lines)
    return found
