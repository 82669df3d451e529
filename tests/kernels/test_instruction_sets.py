"""The same bits from a baseline x86-64 (no FMA, 128-bit vectors), from AVX2 and from whatever this machine has."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

BITS = """
import hashlib
import numpy as np
from seqloss import contract
from seqloss.kernels.cpu import loss_and_grad
digest = hashlib.sha256()
for frames, classes, labels in ((64, 96, 12), (300, 48, 40), (90, 1024, 33), (500, 32, 200)):
    for kind in (np.float32, np.float64):
        for scale in (0.1, 3.0, 300.0):
            rng = np.random.default_rng(frames)
            logits = (scale * rng.standard_normal((2, frames, classes))).astype(kind)
            targets = rng.integers(1, classes, (2, labels))
            losses, _, gradient = loss_and_grad(logits, contract.validate(logits.shape, targets))
            digest.update(losses.tobytes() + gradient.tobytes())
print(digest.hexdigest())
"""


def bits(cache: Path, **settings: str) -> str:
    environment = {**os.environ, "SEQLOSS_CACHE_DIR": str(cache), **settings}
    done = subprocess.run([sys.executable, "-c", BITS], env=environment, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.long
@pytest.mark.skipif(platform.machine() != "x86_64", reason="instruction sets of x86-64")
@pytest.mark.parametrize("processor", ["generic", "x86-64-v3"])
def test_every_instruction_set_gives_the_same_bits(processor: str, tmp_path: Path) -> None:
    own = bits(tmp_path / "own")
    assert bits(tmp_path / processor, NUMBA_CPU_NAME=processor, NUMBA_CPU_FEATURES="") == own
