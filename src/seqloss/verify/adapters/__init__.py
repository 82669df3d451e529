"""The known implementations, which can be verified by name: other libraries first, then seqloss.

Each framework has a file, which is imported when its function is called. An adapter converts arguments and results; it
does not correct them.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from seqloss.verify.implementation import Implementation

ALL = ("float64", "float32", "float16", "bfloat16")
SINGLE = ("float32",)
UP_TO_SINGLE = ("float32", "float16", "bfloat16")
"""Keras converts all types to float32, float64 too."""

JAX = {"JAX_PLATFORMS": "cpu"}
TENSORFLOW = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
BACKENDS = ("torch", "jax", "tensorflow")

BACKWARD = "the gradient of the framework's softmax, applied before the loss, is NaN for NaN logits"
PADDING_MASK = {"refuses-lengths": "it takes a padding mask, which cannot exceed the axis"}
NONDETERMINISTIC = {
    "repeatable": "torch documents its CUDA gradient as nondeterministic (torch.use_deterministic_algorithms)"
}
ROUNDED = "it takes log-probabilities; rounded, the probabilities can sum to slightly more than 1"
EPSILON = "keras.config.epsilon() is added to every probability, as in the function that it replaces"
OF_PROBABILITIES = (
    "digits", "certain-path", "sums-to-1", "cut", "softmax-minus-posterior", "definition", "closed-scores",
    "impossible", "masked", "extreme-scores", "nan-in-a-row", "empty", "sizes", "lengths", "long",
)  # fmt: skip
"""Laws about exact probabilities."""


def _tensorflow() -> str:
    """The name of the installed TensorFlow distribution."""
    for name in ("tensorflow", "tensorflow-cpu", "tf-nightly", "tensorflow-macos", "tensorflow-intel"):
        try:
            version(name)
        except PackageNotFoundError:
            continue
        return name
    return "tensorflow"


def _implementation(name: str, source: str, *packages: str, **capabilities: Any) -> Implementation:
    return Implementation(name, f"{__name__}.{source}", packages, **capabilities)


def _on_keras(name: str, source: str, backend: str, **capabilities: Any) -> Implementation:
    """An implementation on a Keras backend."""
    packages = ("keras", _tensorflow() if backend == "tensorflow" else backend)
    environment: Mapping[str, str] = {"KERAS_BACKEND": backend}
    if backend == "torch":
        environment = {**environment, "KERAS_TORCH_DEVICE": "cpu"}
    elif backend == "jax":
        environment = {**environment, **JAX}
    else:
        environment = {**environment, **TENSORFLOW}
    return _implementation(
        name, source, *packages, environment=environment, few_shapes=backend == "jax", **capabilities
    )


def _other_libraries() -> list[Implementation]:
    return [
        _implementation("torch", "torch:native", "torch", unsupported={"nan-in-padding": BACKWARD}),
        _implementation(
            "torch (zero_infinity)",
            "torch:native_zero_infinity",
            "torch",
            zero_infinity=True,
            unsupported={"nan-in-padding": BACKWARD},
        ),
        _implementation("torch (log-probs)", "torch:native_on_log_probs", "torch", scores="log_probs"),
        _implementation("torch cuda", "torch:cuda", "torch", unsupported=NONDETERMINISTIC),
        _implementation(
            "torch cudnn",
            "torch:cudnn",
            "torch",
            dtypes=SINGLE,
            blank="first",
            lengths="labels",
            unsupported={**NONDETERMINISTIC, "refuses-lengths": "torch does not use cuDNN if a row has padding"},
        ),
        _implementation(
            "optax", "jax:optax", "jax", "optax", environment=JAX, few_shapes=True, unsupported=PADDING_MASK
        ),
        _implementation("tf.nn", "tensorflow:native", _tensorflow(), environment=TENSORFLOW, dtypes=SINGLE),
        *(_on_keras(f"keras.ops ({backend})", "keras:operation", backend, dtypes=UP_TO_SINGLE) for backend in BACKENDS),
        *(
            _on_keras(
                f"keras.losses.CTC ({backend})",
                "keras:loss",
                backend,
                dtypes=SINGLE,
                blank="first",
                lengths="labels",
                unsupported=PADDING_MASK,
            )
            for backend in BACKENDS
        ),
        _on_keras("keras.backend.ctc_batch_cost", "keras:batch_cost", "tensorflow", blank="last"),
        _implementation("torchaudio", "torch:torchaudio", "torch", "torchaudio"),
        _implementation("k2", "k2:loss", "torch", "k2", dtypes=SINGLE, blank="first"),
        _implementation("warp-ctc", "warpctc:loss", "torch", "warpctc-pytorch", dtypes=SINGLE),
        _implementation("paddle", "paddle:loss", "paddlepaddle"),
    ]


def _frontends() -> list[Implementation]:
    """The frontends of seqloss, and its replacements for losses of the frameworks."""
    return [
        _implementation("seqloss.numpy", "numpy:frontend", "numba", dtypes=ALL),
        _implementation(
            "seqloss.numpy (log-probs)", "numpy:frontend_on_log_probs", "numba", dtypes=ALL, scores="log_probs"
        ),
        _implementation("seqloss.torch", "torch:frontend", "torch", dtypes=ALL),
        _implementation(
            "seqloss.torch (log-probs)", "torch:frontend_on_log_probs", "torch", dtypes=ALL, scores="log_probs"
        ),
        _implementation(
            "seqloss.torch.CTCLoss",
            "torch:drop_in",
            "torch",
            unsupported={"nan-in-padding": BACKWARD, "non-negative": ROUNDED},
        ),
        _implementation(
            "seqloss.torch.CTCLoss (zero_infinity)",
            "torch:drop_in_zero_infinity",
            "torch",
            zero_infinity=True,
            unsupported={"nan-in-padding": BACKWARD, "non-negative": ROUNDED},
        ),
        _implementation(
            "seqloss.torch.CTCLoss (log-probs)",
            "torch:drop_in_on_log_probs",
            "torch",
            dtypes=ALL,
            scores="log_probs",
            gradient=False,
        ),
        _implementation("seqloss.jax", "jax:frontend", "jax", environment=JAX, dtypes=ALL, few_shapes=True),
        _implementation("seqloss.jax (whole arrays)", "jax:whole_arrays", "jax", environment=JAX, few_shapes=True),
        _implementation(
            "seqloss.jax.optax_ctc_loss",
            "jax:drop_in",
            "jax",
            environment=JAX,
            few_shapes=True,
            unsupported=PADDING_MASK,
        ),
        *(_on_keras(f"seqloss.keras ({backend})", "keras:frontend", backend, dtypes=ALL) for backend in BACKENDS),
        *(_on_keras(f"seqloss.keras.CTC ({backend})", "keras:drop_in", backend) for backend in BACKENDS),
        _on_keras(
            "seqloss.keras.ctc_batch_cost",
            "keras:drop_in_batch_cost",
            "tensorflow",
            blank="last",
            unsupported={**dict.fromkeys(OF_PROBABILITIES, EPSILON), "nan-in-padding": BACKWARD},
        ),
    ]


KNOWN_IMPLEMENTATIONS: dict[str, Implementation] = {
    implementation.name: implementation for implementation in (*_other_libraries(), *_frontends())
}
"""By name, as on the command line."""
