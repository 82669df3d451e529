"""The private interfaces of Keras and TensorFlow that this package uses, one function each.

`tests/keras/test_compat.py` fails and names the interface if a release moves one.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


def in_symbolic_scope() -> bool:
    """Whether Keras only computes shapes and types. Uses `keras.src.backend.common.symbolic_scope`."""
    from keras.src.backend.common.symbolic_scope import in_symbolic_scope as found

    return bool(found())


def keras_mask(tensor: Any) -> Any:
    """Return the mask that layers attached to a tensor, or None. Uses `keras.src.backend.get_keras_mask`."""
    from keras.src.backend import get_keras_mask

    return get_keras_mask(tensor)


def traced_for_xla() -> bool:
    """Whether TensorFlow traces for XLA. Uses `tensorflow.python.ops.control_flow_util.GraphOrParents...`."""
    import tensorflow as tf
    from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

    return not tf.executing_eagerly() and bool(GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()))


def is_on_cpu(tensor: Any) -> bool:
    """Whether the values of a TensorFlow tensor are on the CPU. Uses `backing_device` of eager tensors."""
    return hasattr(tensor, "backing_device") and "CPU" in tensor.backing_device


def keras_config_path() -> Path:
    """Return the path of the file that importing Keras writes. Uses the order in `keras.src.backend.config`."""
    if "KERAS_HOME" in os.environ:
        return Path(os.environ["KERAS_HOME"]).expanduser() / "keras.json"
    home = Path("~").expanduser()
    return (home if os.access(home, os.W_OK) else Path("/tmp")) / ".keras" / "keras.json"


def default_keras_config() -> dict[str, Any]:
    """Return what Keras itself writes into that file, without a choice of the user. Uses `keras.src.backend.config`."""
    return {"floatx": "float32", "epsilon": 1e-07, "backend": "tensorflow", "image_data_format": "channels_last"}
