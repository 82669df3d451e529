"""What mypy accepts and rejects in a program that calls the frontends.

A line that ends in `# rejected` must have an error, every other line none. Without a cache mypy needs 20 seconds
for torch and jax, so their test is long.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")
ROOT = Path(__file__).resolve().parents[1]

NUMPY = """
import numpy as np
from seqloss.numpy import Report, ctc_check, ctc_loss, ctc_loss_and_grad

logits = np.zeros((2, 5, 3), np.float32)
labels = np.array([[1, 2], [2, 1]])
losses: np.ndarray = ctc_loss(logits, labels, [5, 4], np.array([2, 1]))
mean: np.floating = ctc_loss(logits.tolist(), [[1, 2], [2, 1]], reduction="mean")
both: tuple[np.ndarray, np.ndarray] = ctc_loss_and_grad(logits, labels, upstream=[1.0, 2.0])
report: Report = ctc_check(logits, labels)

ctc_loss(logits, "ab")  # rejected
ctc_loss(logits, logits)  # rejected
ctc_loss(logits, labels, "all")  # rejected
ctc_loss(logits, labels, reduction="average")  # rejected
ctc_loss(logits, labels, infeasible="nan")  # rejected
ctc_loss("ab", labels)  # rejected
scalar: np.ndarray = ctc_loss(logits, labels, reduction="sum")  # rejected
"""

KERAS = """
import numpy as np
from seqloss.keras import CTC, ctc_loss, pack

logits = np.zeros((2, 5, 3), np.float32)
labels = np.array([[1, 2], [2, 1]])
ctc_loss(logits, labels, [5, 4], np.array([2, 1]), reduction="mean")
CTC(logit_lengths="packed", dtype="float32")(labels, logits, sample_weight=[1.0, 0.5])
packed: np.ndarray = pack([[1, 2], [2]], logit_lengths=[5, 4])

ctc_loss(logits, "ab")  # rejected
ctc_loss(logits, labels, reduction="average")  # rejected
CTC(logit_lengths="masked")  # rejected
CTC()("ab", logits)  # rejected
pack("ab")  # rejected
"""

TORCH = """
import numpy as np
import torch
from seqloss.torch import Alignment, CTCLoss, ctc_align, ctc_loss, from_loss_and_grad

logits = torch.zeros(2, 5, 3)
labels = torch.tensor([[1, 2], [2, 1]])
loss: torch.Tensor = ctc_loss(logits, labels, torch.tensor([5, 4]), [2, 1], reduction="sum", denominator=4)
ctc_loss(logits, np.array([[1, 2], [2, 1]]))
alignment: Alignment = ctc_align(logits, [[1, 2], [2, 1]])
CTCLoss(zero_infinity=True).forward(logits, labels, (5, 4), (2, 1))
squares = from_loss_and_grad(lambda x: ((x**2).sum(-1), 2 * x))
value: torch.Tensor = squares(logits)

ctc_loss(logits, "ab")  # rejected
ctc_loss(np.zeros((2, 5, 3)), labels)  # rejected
ctc_loss(logits, labels, reduction="average")  # rejected
CTCLoss(reduction="labels")  # rejected
CTCLoss().forward(logits, labels, "all", (2, 1))  # rejected
"""

JAX = """
import jax
import jax.numpy as jnp
import numpy as np
from seqloss.jax import ctc_loss, optax_ctc_loss

logits = jnp.zeros((2, 5, 3))
labels = jnp.array([[1, 2], [2, 1]])
loss: jax.Array = ctc_loss(logits, labels, jnp.array([5, 4]), [2, 1], reduction="mean")
ctc_loss(np.zeros((2, 5, 3)), [[1, 2], [2, 1]])
optax_ctc_loss(logits, jnp.zeros((2, 5)), labels, [[0.0, 0.0], [0.0, 1.0]])

ctc_loss(logits, "ab")  # rejected
ctc_loss(logits, labels, reduction="average")  # rejected
optax_ctc_loss(logits, "none", labels, labels)  # rejected
"""


def check(folder: Path, programs: dict[str, str]) -> None:
    for name, program in programs.items():
        (folder / f"uses_{name}.py").write_text(program, encoding="utf-8")
    found = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--no-error-summary",
            "--cache-dir",
            str(folder / "cache"),
            *sorted(map(str, folder.glob("uses_*.py"))),
        ],
        cwd=ROOT,
        env={**os.environ, "MYPYPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not found.stderr
    for name, program in programs.items():
        path = str(folder / f"uses_{name}.py")
        rejected = {n for n, line in enumerate(program.splitlines(), 1) if line.endswith("# rejected")}
        errors = [line.split(":") for line in found.stdout.splitlines() if line.startswith(path) and ": error:" in line]
        assert {int(line) for _, line, *_ in errors} == rejected, found.stdout


def test_numpy_and_keras_accept_right_types_and_reject_wrong_ones(tmp_path: Path) -> None:
    check(tmp_path, {"numpy": NUMPY, "keras": KERAS})


@pytest.mark.long
def test_torch_and_jax_accept_right_types_and_reject_wrong_ones(tmp_path: Path) -> None:
    check(tmp_path, {"torch": TORCH, "jax": JAX})
