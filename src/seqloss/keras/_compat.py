"""The private interfaces of Keras and TensorFlow that this package stands on, each in one function.

`tests/keras/test_compat.py` fails, and names the interface, when a release moves one.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


def in_symbolic_scope() -> bool:
    """Whether Keras only asks for shapes and types. Stands on `keras.src.backend.common.symbolic_scope`."""
    from keras.src.backend.common.symbolic_scope import in_symbolic_scope as found

    return bool(found())


def keras_mask(tensor: Any) -> Any:
    """The mask that layers passed on with a tensor, or None. Stands on `keras.src.backend.get_keras_mask`."""
    from keras.src.backend import get_keras_mask

    return get_keras_mask(tensor)


def set_keras_mask(tensor: Any, mask: Any) -> None:
    """Pass a mask on with a tensor, as a layer does. Stands on `keras.src.backend.set_keras_mask`."""
    from keras.src.backend import set_keras_mask as attach

    attach(tensor, mask)


def traced_for_xla() -> bool:
    """Whether TensorFlow traces for XLA. Stands on `tensorflow.python.ops.control_flow_util.GraphOrParents...`."""
    import tensorflow as tf
    from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

    return not tf.executing_eagerly() and bool(GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()))


def is_on_cpu(tensor: Any) -> bool:
    """Whether a TensorFlow tensor's values lie on the CPU. Stands on `backing_device`, which eager tensors have."""
    return hasattr(tensor, "backing_device") and "CPU" in tensor.backing_device


def keras_config_path() -> Path:
    """Keras' configuration file, which importing Keras writes. Stands on the order in `keras.src.backend.config`."""
    if "KERAS_HOME" in os.environ:
        return Path(os.environ["KERAS_HOME"]).expanduser() / "keras.json"
    home = Path("~").expanduser()
    return (home if os.access(home, os.W_OK) else Path("/tmp")) / ".keras" / "keras.json"


def default_keras_config() -> dict[str, Any]:
    """What Keras itself writes into that file, chosen by nobody. Stands on `keras.src.backend.config`."""
    return {"floatx": "float32", "epsilon": 1e-07, "backend": "tensorflow", "image_data_format": "channels_last"}
