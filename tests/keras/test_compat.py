"""Each private interface is where `seqloss.keras._compat` expects it; a failure names the one that moved."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops
from keras.src.backend import set_keras_mask

from seqloss.keras import _compat
from seqloss.verify.adapters._compat import keras_2_batch_cost

BACKEND = os.environ["KERAS_BACKEND"]


def test_layers_are_traced_in_a_symbolic_scope() -> None:
    seen = []

    class Spy(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            seen.append(_compat.in_symbolic_scope())
            return x

    layer = Spy()
    layer(keras.Input((3,)))
    assert seen
    assert all(seen)
    layer(ops.ones((2, 3)))
    assert not seen[-1]


def test_a_mask_that_was_set_is_returned() -> None:
    x, mask = ops.ones((2, 3)), ops.ones((2,), dtype="bool")
    assert _compat.keras_mask(x) is None
    set_keras_mask(x, mask)
    assert _compat.keras_mask(x) is mask


@pytest.mark.skipif(BACKEND != "tensorflow", reason="an interface of TensorFlow")
def test_tracing_for_xla_is_recognised() -> None:
    import tensorflow as tf

    seen = {}
    for jit in (False, True):

        def run(x: Any, jit: bool = jit) -> Any:
            seen[jit] = _compat.traced_for_xla()
            return x + 1

        tf.function(run, jit_compile=jit)(tf.constant(1.0))
        assert seen == {jit: jit}
        seen.clear()
        inner = tf.function(run)
        tf.function(lambda x, inner=inner: inner(x), jit_compile=jit)(tf.constant(1.0))
        assert seen == {jit: jit}
        seen.clear()
    assert not _compat.traced_for_xla()


@pytest.mark.skipif(BACKEND != "tensorflow", reason="an interface of TensorFlow")
def test_eager_cpu_tensors_are_recognised() -> None:
    import tensorflow as tf

    with tf.device("CPU"):
        assert _compat.is_on_cpu(tf.constant(1.0))
    seen = []
    tf.function(lambda x: seen.append(_compat.is_on_cpu(x)))(tf.constant(1.0))
    assert seen == [False]
    assert not _compat.is_on_cpu(np.ones(1))


def test_keras_writes_its_defaults_where_they_are_looked_for(tmp_path: Path) -> None:
    """By KERAS_HOME when Keras is imported, and by HOME when the module that writes is loaded once more."""
    code = (
        "import importlib, os; import keras.src.backend.config as c\n"
        "from seqloss.keras._compat import keras_config_path\n"
        "print(keras_config_path().samefile(c._config_path), keras_config_path())\n"
        "del os.environ['KERAS_HOME']; importlib.reload(c)\n"
        "print(keras_config_path().samefile(c._config_path), keras_config_path())"
    )
    folders = [tmp_path / "chosen", tmp_path / "home"]
    folders[1].mkdir()
    paths = {"PYTHONPATH": os.pathsep.join(sys.path), "KERAS_HOME": str(folders[0]), "HOME": str(folders[1])}
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, **paths}, capture_output=True, text=True)
    found = [line.split() for line in done.stdout.splitlines()]
    assert [same for same, _ in found] == ["True", "True"], done.stderr
    for (_, path), folder in zip(found, folders, strict=True):
        assert Path(path).is_relative_to(folder)
        assert json.loads(Path(path).read_text(encoding="utf-8")) == _compat.default_keras_config()


@pytest.mark.skipif(BACKEND != "tensorflow", reason="an interface of TensorFlow")
def test_the_batch_cost_of_keras_2_is_where_it_was() -> None:
    probabilities, length = np.full((1, 2, 2), 0.5, np.float32), np.ones((1, 1), np.int32)
    cost = keras_2_batch_cost(np.zeros((1, 1), np.int32), probabilities, 2 * length, length)
    np.testing.assert_allclose(ops.convert_to_numpy(cost), [[np.log(4 / 3)]], rtol=1e-5)
