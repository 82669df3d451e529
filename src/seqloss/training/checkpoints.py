"""Checkpoints that survive a kill and contain no code: written atomically, read as plain data."""

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
"""What a checkpoint must contain to resume from it."""


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint as data; nothing in it is executed.

    Raises:
        RunError: the file is truncated, contains more than tensors and plain values, or is no checkpoint of a run.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise RunError(f"{path}: no such checkpoint.") from None
    except Exception as problem:  # whatever a foreign file does to the reader
        reason = str(problem).split("\n")[0][:200]
        raise RunError(
            f"{path}: is no checkpoint that can be read as plain data ({reason}); start over with --fresh."
        ) from problem
    if not isinstance(checkpoint, dict) or any(part not in checkpoint for part in RESUMED_FROM):
        raise RunError(f"{path}: is no checkpoint of a run; start over with --fresh.")
    return checkpoint


class AtomicCheckpoints(TorchCheckpointIO):
    """Lightning's checkpoint files, written atomically and read without unpickling code."""

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
                "free some space, then give the same command again to resume.",
                problem.errno,
            ) from problem
        finally:
            part.unlink(missing_ok=True)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        return load_checkpoint(Path(path))


def check_weights(module: nn.Module, weights: dict[str, Tensor]) -> None:
    """Raise a `RunError` where names or shapes in a checkpoint are not those of the module."""
    shapes = {name: value.shape for name, value in module.state_dict().items()}
    if shapes != {name: value.shape for name, value in weights.items()}:
        raise RunError("the checkpoint's weights are not those of this network; start over with --fresh.")


class SaveLastEpoch(Checkpoint):
    """Save every epoch after its validation; Lightning's save_last skips those that are not the best."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        trainer.save_checkpoint(self.path)
