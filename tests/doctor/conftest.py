"""Triton's library crashes the process where TensorFlow's was loaded before it: it is loaded first."""

import contextlib

with contextlib.suppress(ImportError):
    import triton  # noqa: F401
