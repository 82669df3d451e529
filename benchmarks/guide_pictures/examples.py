"""What the network of examples/torch_ctc.py reads, and the errors of the scripts of four frameworks in training."""

from __future__ import annotations

import contextlib
import inspect
import io
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rapidfuzz.distance import Levenshtein

EXAMPLES = Path(__file__).parents[2] / "examples"
EVERY = 10
"""Steps from a measurement to the next."""

TESTED, SEED = 200, 1
"""Texts that each script tests on, and their seed."""

Curve = dict[int, float]
"""Share of wrong letters by step, in percent."""


def draw() -> Figure:
    with _importable(EXAMPLES):
        scripts = {name: import_module(f"{name}_ctc") for name in ("torch", "jax", "keras", "numpy")}
    model, torch_curve = _train_torch(scripts["torch"])
    curves = {
        "PyTorch": torch_curve,
        "JAX": _train_jax(scripts["jax"]),
        "Keras": _train_keras(scripts["keras"]),
        "NumPy (telephone keys)": _train_numpy(scripts["numpy"]),
    }
    figure, (above, below) = pyplot.subplots(2, 1, figsize=(5, 4), layout="constrained", height_ratios=(1, 1.6))
    _draw_reading(above, scripts["torch"], model)
    for (name, curve), style in zip(curves.items(), ("-", "--", "-.", ":"), strict=True):
        below.plot(list(curve), list(curve.values()), style, label=name)
    below.set(xlabel="step", ylabel="wrong letters, %", xlim=(0, None), ylim=(0, 105))
    below.legend(frameon=False)
    return figure


def _draw_reading(axis: Axes, script: ModuleType, model: Any) -> None:
    """A keyed text that the network has not seen, and each letter where it is read."""
    import torch

    from seqloss.torch import ctc_greedy

    _, signals, frames = script.make_batch(TESTED, np.random.default_rng(SEED))
    longest = int(frames.argmax())
    with torch.no_grad():
        read = ctc_greedy(*model(signals[longest : longest + 1], frames[longest : longest + 1]))[0]
    axis.plot(signals[longest, : frames[longest], 0], color="gray", linewidth=0.8)
    for label, frame in zip(read.labels, read.first, strict=True):
        axis.text(2 * frame, 1.5, script.LETTERS[label], ha="center", fontsize=12, color="tab:blue")
    axis.set(xlabel="frame", ylabel="key", ylim=(-0.5, 2), yticks=(0, 1), yticklabels=("up", "down"))


def _train_torch(script: ModuleType) -> tuple[Any, Curve]:
    import torch

    def read(own: dict[str, Any], signals: Any, frames: Any) -> Any:
        with torch.no_grad():
            return script.ctc_greedy(*own["model"](signals, frames))

    own, curve = _watch(script, read)
    return own["model"], curve


def _train_jax(script: ModuleType) -> Curve:
    apply = script.jax.jit(script.apply)

    def read(own: dict[str, Any], signals: Any, frames: Any, *_: Any) -> Any:
        return script.ctc_greedy(*apply(own["weights"], signals, frames))

    return _watch(script, read)[1]


def _train_numpy(script: ModuleType) -> Curve:
    script.LETTERS = script.SYMBOLS
    return _watch(script, lambda own, features, frames: script.ctc_greedy(features @ own["weights"], frames))[1]


def _watch(script: ModuleType, read: Callable[..., Any]) -> tuple[dict[str, Any], Curve]:
    """Run a script's training, and test it before every tenth batch: what its `main` has, and the curve."""
    make_batch, curve = script.make_batch, {}
    texts, *inputs = make_batch(TESTED, np.random.default_rng(SEED))
    step, own = 0, {}

    def make_and_test(rows: int, rng: np.random.Generator) -> Any:
        nonlocal step, own
        caller = inspect.currentframe().f_back  # type: ignore[union-attr]
        own = dict(caller.f_locals)  # type: ignore[union-attr]
        if step and step % EVERY == 0:
            curve[step] = _error_rate(script, texts, read(own, *inputs))
        step += 1
        return make_batch(rows, rng)

    script.make_batch = make_and_test
    with contextlib.redirect_stdout(io.StringIO()):
        script.main()
    script.make_batch = make_batch
    return own, curve


def _train_keras(script: ModuleType) -> Curve:
    make_model, curve = script.make_model, {}
    texts, signals, _ = script.make_data(TESTED, seed=SEED)

    class Test(script.keras.callbacks.Callback):
        step = 0

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            if self.step and self.step % EVERY == 0:
                curve[self.step] = self.error_rate()
            self.step += 1

        def on_train_end(self, logs: Any = None) -> None:
            curve[self.step] = self.error_rate()

        def error_rate(self) -> float:
            return _error_rate(script, texts, script.ctc_greedy(script.keras.ops.stop_gradient(self.model(signals))))

    def make_tested_model() -> Any:
        model = make_model()
        fit = model.fit
        model.fit = lambda *given, **more: fit(*given, **more, callbacks=[Test()])
        return model

    script.make_model = make_tested_model
    with contextlib.redirect_stdout(io.StringIO()):
        script.main()
    script.make_model = make_model
    return curve


def _error_rate(script: ModuleType, texts: Sequence[str], rows: Sequence[Any]) -> float:
    found = ["".join(script.LETTERS[k] for k in row.labels) for row in rows]
    return 100 * sum(map(Levenshtein.distance, texts, found)) / len("".join(texts))


@contextlib.contextmanager
def _importable(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
