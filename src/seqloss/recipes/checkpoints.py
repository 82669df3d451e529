"""Checkpoints that survive a kill and run no code: written aside and renamed, read as plain data."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor, nn

from seqloss.errors import RunError, StorageError

RESUMED_FROM = ("state_dict", "epoch", "global_step", "loops", "callbacks", "optimizer_states", "lr_schedulers")
"""What a checkpoint must hold for a run to go on from it."""


def load(path: Path) -> dict[str, Any]:
    """A checkpoint, read as data: nothing in it is executed.

    Raises:
        RunError: the file is torn, holds more than tensors and plain values, or is no checkpoint of a run.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise RunError(f"{path}: no such checkpoint.") from None
    except Exception as problem:  # whatever a foreign file does to the reader
        reason = str(problem).split("\n")[0][:200]
        raise RunError(
            f"{path}: is no checkpoint that can be read as plain data ({reason}); start anew with --fresh."
        ) from problem
    if not isinstance(checkpoint, dict) or any(part not in checkpoint for part in RESUMED_FROM):
        raise RunError(f"{path}: is no checkpoint of a run; start anew with --fresh.")
    return checkpoint


class AsideCheckpoints(TorchCheckpointIO):
    """Checkpoints written aside and renamed, read without unpickling code."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        target = Path(path)
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        whole = io.BytesIO()  # torch.save hides the reason why a file could not be written
        torch.save(checkpoint, whole)
        try:
            with part.open("wb") as file:
                file.write(whole.getbuffer())
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)
        except OSError as problem:
            raise StorageError(
                f"{target}: cannot be written ({problem.strerror or problem}). The epoch before is safe: "
                "free some space, then give the same command again to go on from there.",
                problem.errno,
            ) from problem
        finally:
            part.unlink(missing_ok=True)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        checkpoint = load(Path(path))
        folder = Path(path).resolve().parent
        checkpoint["callbacks"] = {name: moved(state, folder) for name, state in checkpoint["callbacks"].items()}
        return checkpoint


def moved(state: Any, folder: Path) -> Any:
    """A callback's state in a run whose folder was moved; Lightning would forget which epoch was the best one."""
    if not isinstance(state, dict) or "dirpath" not in state:
        return state

    def here(path: str) -> str:
        return str(folder / Path(path).name) if path else path

    paths = {name: here(state[name]) for name in state if name.endswith("_model_path")}
    best = {here(path): score for path, score in state.get("best_k_models", {}).items()}
    return {**state, **paths, "best_k_models": best, "dirpath": str(folder)}


def refuse_other_weights(module: nn.Module, weights: dict[str, Tensor]) -> None:
    """A `RunError` where the weights of a checkpoint are not those of this module."""
    shapes = {name: value.shape for name, value in module.state_dict().items()}
    if shapes != {name: value.shape for name, value in weights.items()}:
        raise RunError("the checkpoint's weights are not those of this network; start anew with --fresh.")


class Latest(Checkpoint):
    """Saves each epoch, once all is known about it; Lightning's save_last leaves out those that are not the best."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        trainer.save_checkpoint(self.path)
