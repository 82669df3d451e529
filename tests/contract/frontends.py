"""The frontends of this process.

Keras has one backend in a process, named by KERAS_BACKEND: where that is set, the suite is about Keras' frontend on
that backend and nothing else. Where TRITON_INTERPRET=1 is set it is about the Triton kernels alone, in Triton's
interpreter, on tensors of the CPU; where SEQLOSS_FRONTENDS=triton is set, compiled, on a machine with a GPU. Otherwise
about all other frontends.
"""

from __future__ import annotations

import os

from .frontend import Frontend

FRONTENDS: list[Frontend]

if "KERAS_BACKEND" in os.environ:
    from .keras_frontend import KERAS_FRONTENDS

    FRONTENDS = KERAS_FRONTENDS
elif os.environ.get("TRITON_INTERPRET") == "1" or os.environ.get("SEQLOSS_FRONTENDS") == "triton":
    from .torch_frontend import TRITON_FRONTENDS

    FRONTENDS = TRITON_FRONTENDS
else:
    from .jax_frontend import JAX_FRONTENDS
    from .numpy_frontend import NUMPY_FRONTENDS
    from .torch_frontend import TORCH_FRONTENDS

    FRONTENDS = [*NUMPY_FRONTENDS, *TORCH_FRONTENDS, *JAX_FRONTENDS]
