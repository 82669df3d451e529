"""A callback that watches a training of Lightning."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import nn

from seqloss.doctor.findings import Finding, Findings
from seqloss.doctor.watching.follower import Watch
from seqloss.errors import OptionError


class WatchTraining(Callback):
    """Watch a training as `seqloss.doctor.watch` does; the loss is what `training_step` returns.

    Findings are warnings in the log, or go to `on_finding`; all are in `findings`. The module is watched from the first
    to the last training step; metrics that `training_step` updates or logs are not touched by the watching.

    Args:
        model: name of the submodule whose outputs are judged; "" for the module itself, if `training_step` calls it as
            a function.
        blank: class of the blank, for models that are trained with CTC.
        held_out: a batch that is not trained on, on the device of the module.
        on_finding: called with each finding at once.

    Raises:
        OptionError: there are several optimizers, or manual optimization (raised when training starts).

    Example:
        >>> from lightning.pytorch import Trainer
        >>> from seqloss.doctor.lightning import WatchTraining
        >>> Trainer(callbacks=[WatchTraining(blank=0)], logger=False).callbacks[0].findings.names
        []
    """

    def __init__(
        self,
        model: str = "",
        *,
        blank: int | None = None,
        held_out: Any = None,
        on_finding: Callable[[Finding], None] | None = None,
    ) -> None:
        self.model, self.blank, self.held_out, self.on_finding = model, blank, held_out, on_finding
        self.watch: Watch | None = None
        self._found = Findings()

    @property
    def findings(self) -> Findings:
        """All that was found so far."""
        return self.watch.findings if self.watch else self._found

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if len(trainer.optimizers) != 1 or not pl_module.automatic_optimization:
            raise OptionError(
                f"WatchTraining: found {len(trainer.optimizers)} optimizers, automatic_optimization="
                f"{pl_module.automatic_optimization}; expected one optimizer and automatic optimization. Use "
                "seqloss.doctor.watch in training_step."
            )
        steps = trainer.estimated_stepping_batches
        self.watch = Watch(
            pl_module.get_submodule(self.model),
            getattr(trainer.optimizers[0], "optimizer", trainer.optimizers[0]),
            held_out=self.held_out,
            scaler=getattr(trainer.precision_plugin, "scaler", None),
            blank=self.blank,
            steps=int(steps) if 0 < steps < float("inf") else None,
            on_finding=self.on_finding or _warn,
            whole=pl_module,
            sees_steps=False,
            first=trainer.global_step,
        ).__enter__()
        pl_module.training_step = partial(self._training_step, pl_module, pl_module.training_step)  # type: ignore[method-assign]

    def _training_step(self, module: LightningModule, step: Callable[..., Any], batch: Any, *others: Any) -> Any:
        def loss(model: nn.Module, batch: Any) -> Any:
            with _without_logging(module):
                return step(batch, *others)

        assert self.watch is not None
        self.watch.begin(loss, batch)
        found = step(batch, *others)
        if found is not None:
            self.watch.end(loss, batch, found)
        return found

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        if self.watch is not None:
            self.watch.before_step()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._stop(pl_module)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._stop(pl_module)

    def _stop(self, module: LightningModule) -> None:
        if self.watch is not None:
            self.watch.__exit__()
            self._found, self.watch = self.watch.findings, None
            vars(module).pop("training_step", None)


@contextmanager
def _without_logging(module: LightningModule) -> Iterator[None]:
    """`self.log` does nothing within."""
    vars(module)["log"] = vars(module)["log_dict"] = lambda *_, **__: None
    try:
        yield
    finally:
        for name in ("log", "log_dict"):
            vars(module).pop(name, None)


def _warn(finding: Finding) -> None:
    from lightning.pytorch.utilities.rank_zero import rank_zero_warn

    rank_zero_warn(str(finding))
