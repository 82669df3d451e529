"""CTC in JAX: `loss.py`; `kernel.py` calls the CPU kernel or `accelerator/`."""
