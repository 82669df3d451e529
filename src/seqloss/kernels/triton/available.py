"""Whether the Triton kernels run on a device, determined once; if not, the reason, as text for a warning.

This is the only file of the folder that does not import Triton.
"""

from __future__ import annotations

import os
from functools import cache
from importlib.util import find_spec

import torch

KINDS = (torch.float32, torch.float16, torch.bfloat16)
OLDEST = (7, 0)
"""The lowest compute capability for which Triton compiles."""


def reason_against(device: torch.device, kind: torch.dtype) -> str | None:
    """Why the Triton kernels do not compute scores of this type on this device; None if they do.

    They compute CPU tensors if TRITON_INTERPRET=1 is set before Triton is imported: this is how they are tested.
    """
    against = _against_device(device.type, device.index)
    if against is None and kind not in KINDS:
        return f"the kernels compute in float32, the scores are {str(kind).removeprefix('torch.')}"
    return against


@cache
def _against_device(kind: str, index: int | None) -> str | None:
    if kind == "cpu":
        return _against_triton() if os.environ.get("TRITON_INTERPRET") == "1" else "the CPU has its own kernel"
    if kind != "cuda" or torch.version.cuda is None:
        return "there are Triton kernels for CUDA alone"
    return _against_triton() or _against_gpu(index)


def _against_triton() -> str | None:
    if find_spec("triton") is None:
        return "Triton is not installed: pip install 'seqloss[gpu]'"
    return None


def _against_gpu(index: int | None) -> str | None:
    device = torch.device("cuda", torch.cuda.current_device() if index is None else index)
    name, found = torch.cuda.get_device_name(device), torch.cuda.get_device_capability(device)
    if found < OLDEST:
        return f"{name} has compute capability {found[0]}.{found[1]}, Triton needs {OLDEST[0]}.{OLDEST[1]}"
    try:
        from seqloss.kernels.triton.probe import run_probe

        run_probe(device)
    except torch.OutOfMemoryError:
        raise  # temporary; the caller gets torch's own error
    except Exception as error:  # no compiler, or an old driver; with any error the CPU computes instead
        words = " ".join(f"{type(error).__name__}: {error}".split())
        return f"Triton cannot run a kernel on {name} ({words[:200]})"
    return None
