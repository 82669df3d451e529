"""CTC in JAX. `loss.py` is the public loss; `kernel.py` calls the CPU kernel or `accelerator/`."""
