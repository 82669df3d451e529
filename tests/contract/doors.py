"""The doors of this process.

Keras has one backend in a process, named by KERAS_BACKEND: where that is set, the suite is about Keras' door on that
backend and nothing else; otherwise about all other doors.
"""

from __future__ import annotations

import os

from .door import Door

DOORS: list[Door]

if "KERAS_BACKEND" in os.environ:
    from .keras_door import KERAS_DOORS

    DOORS = KERAS_DOORS
else:
    from .jax_door import JAX_DOORS
    from .numpy_door import NUMPY_DOORS
    from .torch_door import TORCH_DOORS

    DOORS = [*NUMPY_DOORS, *TORCH_DOORS, *JAX_DOORS]
