"""A minimal kernel, to find out whether Triton can compile and launch kernels on a device."""

import torch
import triton
import triton.language as tl

from seqloss.kernels.triton.launch import on_device


@triton.jit
def _one_kernel(out):
    tl.store(out, 1.0)


def run_probe(device: torch.device) -> None:
    """Compile and launch the kernel, without waiting for it to end."""
    with on_device(device):
        _one_kernel[(1,)](torch.empty(1, device=device))
