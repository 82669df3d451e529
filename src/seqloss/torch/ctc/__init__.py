"""CTC in PyTorch: `loss.py` and `module.py`; `rows.py` is the CPU's path, `gpu.py` the Triton kernels'."""
