"""The doors of this process.

Keras has one backend in a process, named by KERAS_BACKEND: where that is set, the suite is about Keras' door on that
backend and nothing else. Where TRITON_INTERPRET=1 is set it is about the Triton kernels alone, in Triton's interpreter,
on tensors of the CPU; where SEQLOSS_DOORS=triton is set, compiled, on a machine with a GPU. Otherwise about all other
doors.
"""

from __future__ import annotations

import os

from .door import Door

DOORS: list[Door]

if "KERAS_BACKEND" in os.environ:
    from .keras_door import KERAS_DOORS

    DOORS = KERAS_DOORS
elif os.environ.get("TRITON_INTERPRET") == "1" or os.environ.get("SEQLOSS_DOORS") == "triton":
    from .torch_door import TRITON_DOORS

    DOORS = TRITON_DOORS
else:
    from .jax_door import JAX_DOORS
    from .numpy_door import NUMPY_DOORS
    from .torch_door import TORCH_DOORS

    DOORS = [*NUMPY_DOORS, *TORCH_DOORS, *JAX_DOORS]
