"""`watch`: follow a training, and find out while it runs why it does not learn."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from seqloss.doctor.findings import Finding, Findings
from seqloss.doctor.snapshot import unchanged_by_calls
from seqloss.doctor.subject import Loss, first_tensor
from seqloss.doctor.watching import accumulation, gradients, modes, not_finite
from seqloss.doctor.watching.blanks import Blanks
from seqloss.doctor.watching.exchange import Exchange
from seqloss.doctor.watching.looks import SHARE, Looks
from seqloss.doctor.watching.spread import Spread
from seqloss.doctor.watching.stepping import Stepping
from seqloss.doctor.watching.train_and_eval import TrainAndEval
from seqloss.doctor.watching.units import Units
from seqloss.doctor.watching.updates import Updates
from seqloss.doctor.watching.view import take_view
from seqloss.doctor.watching.window import MOST, Window
from seqloss.doctor.watching.worst_rows import WorstRows
from seqloss.errors import OptionError, wrong_dtype

FIRST_STEPS = 2
"""Steps whose gradient is always computed again."""

GRADIENT_LOOKS = 4
"""After them, the gradient is computed again at each fourth look."""


def watch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    held_out: Any = None,
    scaler: Any = None,
    blank: int | None = None,
    steps: int | None = None,
    share: float = SHARE,
    on_finding: Callable[[Finding], None] | None = None,
) -> Watch:
    """Follow a training step by step, and name what goes wrong while it runs.

    At the first steps, the gradient that reaches the optimiser is compared with the gradient of the loss, computed
    again. At these and at later steps, farther and farther apart, the model is looked at on a few rows: inputs are
    exchanged between rows, outputs compared with targets, activations and updates measured. Weights, buffers and
    random states are the same as without, to the bit.

    Args:
        model: that is trained.
        optimizer: that trains it.
        held_out: a batch that is not trained on, of the same kind; otherwise rows of the next batch are used.
        scaler: torch.amp.GradScaler of the training.
        blank: class of the blank, for models that are trained with CTC.
        steps: of the optimiser in the whole training, if it is known.
        share: of the training's time that looking may take.
        on_finding: called with each finding at once; otherwise they are only kept in `findings`.

    Returns:
        A context manager with `step(loss, batch)`, which computes the loss, and `findings`.

    Raises:
        DTypeError: the model is not a torch.nn.Module, or the optimiser no torch.optim.Optimizer.
        OptionError: the optimiser holds no weight, or `share` is not in (0, 1].

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from seqloss.doctor import watch
        >>> model = nn.Linear(3, 1)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        >>> def loss(model, batch):
        ...     return (model(batch[0]) - batch[1]).square().mean()
        >>> with watch(model, optimizer) as watched:
        ...     for _ in range(3):  # optimizer.zero_grad() is forgotten
        ...         watched.step(loss, (torch.randn(8, 3), torch.randn(8, 1))).backward()
        ...         optimizer.step()
        >>> watched.findings.names
        ['gradients-not-zeroed']
    """
    return Watch(
        model, optimizer, held_out=held_out, scaler=scaler, blank=blank, steps=steps, share=share, on_finding=on_finding
    )


class Watch:
    """What `watch` returns; the arguments are the same, and two for loops that others run.

    Args:
        whole: the module whose buffers and attributes the loss may change; the model itself if None.
        sees_steps: whether the gradients are complete when the optimiser's step begins. Otherwise, the loop calls
            `before_step`.
        first: steps that were taken before, in a training that is resumed; findings count them.

    Attributes:
        adds_losses: whether the losses of several batches add up to that of one big batch.
        is_looking: whether the model is being called to look at it.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        held_out: Any = None,
        scaler: Any = None,
        blank: int | None = None,
        steps: int | None = None,
        share: float = SHARE,
        on_finding: Callable[[Finding], None] | None = None,
        whole: nn.Module | None = None,
        sees_steps: bool = True,
        first: int = 0,
    ) -> None:
        if not isinstance(model, nn.Module):
            raise wrong_dtype("model", type(model).__name__, "a torch.nn.Module")
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise wrong_dtype("optimizer", type(optimizer).__name__, "a torch.optim.Optimizer")
        if not 0 < share <= 1:
            raise OptionError(f"share: found {share}, expected a share of the training's time in (0, 1].")
        self.model, self.optimizer, self.held_out, self.scaler = model, optimizer, held_out, scaler
        self.whole, self._sees_steps, self.adds_losses, self._first = whole or model, sees_steps, False, first
        names = {id(weight): name for name, weight in model.named_parameters()}
        held = [weight for group in optimizer.param_groups for weight in group["params"] if id(weight) in names]
        if not held:
            raise OptionError("optimizer: it holds no weight of the model; make it from model.parameters().")
        self._weights, self._names = held, [names[id(weight)] for weight in held]
        self._steps, self._looks, self._on_finding = steps, Looks(share, steps), on_finding
        exchange = Exchange()
        self._stepping, self._updates, self._units = Stepping(scaler is not None), Updates(optimizer), Units(model)
        self._judges: list[Any] = [exchange, *([] if blank is None else [Blanks(blank, exchange)]), Spread(),
                                   self._units, TrainAndEval()]  # fmt: skip
        self._worst_rows = WorstRows()
        self._window = self._next_window(is_looked_at=False)
        self._window.has_stepped = True
        self._found: dict[str, Finding] = {}
        self._not_checked: dict[str, str] = {}
        self._previous: list[Tensor | None] | None = None
        self.is_looking, self._has_modes = False, modes.has_modes(model)
        self._not_finite: tuple[Loss, Any, float] | None = None
        self._handles: list[Any] = []

    def __enter__(self) -> Watch:
        self._handles = [
            self.optimizer.register_step_post_hook(lambda *_: self.after_step()),
        ]
        if self._sees_steps:
            self._handles.append(self.optimizer.register_step_pre_hook(lambda *_: self.before_step()))
        if self._has_modes:
            self._handles.append(self.model.register_forward_pre_hook(self._check_evaluation))
        return self

    def __exit__(self, *_: object) -> None:
        self._check_not_finite()
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._window.forget()
        self._previous = None

    @property
    def findings(self) -> Findings:
        """All that was found so far, errors first; the step is in each finding's evidence."""
        found = sorted(self._found.values(), key=lambda finding: (finding.rank, finding.evidence.get("step", 0)))
        checks = ["gradients", "updates", "stepping", "modes", *map(_name, [*self._judges, self._worst_rows])]
        checked = tuple(name for name in checks if name not in self._not_checked)
        return Findings(tuple(found), checked, dict(self._not_checked))

    @property
    def seconds(self) -> float:
        """That looking has taken so far."""
        return self._looks.spent

    def step(self, loss: Loss, batch: Any) -> Any:
        """Compute the loss of a batch; call it once for each backward().

        Args:
            loss: called with (model, batch).
            batch: as the loss takes it.

        Returns:
            What the loss returns: a scalar with its graph, or a tuple or mapping that begins with it.
        """
        if not torch.is_grad_enabled():  # an evaluation
            return loss(self.model, batch)
        self.begin(loss, batch)
        found = loss(self.model, batch)
        self.end(loss, batch, found)
        return found

    def begin(self, loss: Loss, batch: Any) -> None:
        """Tell that the loss of a batch is about to be computed, for loops that do so themselves."""
        self._check_not_finite()
        window = self._window
        if window.has_stepped:
            number = window.number + 1
            window = self._window = self._next_window(self._looks.wants(number))
            if window.is_looked_at:
                with self._looking():
                    self._look(loss, batch)
        elif self._stepping.is_discarded(self._weights if window.is_looked_at else self._weights[:1]):
            window.forget()
        self._report(self._stepping.check(window.number))
        if not self.model.training and self._has_modes:
            self._report(modes.check_training(self.model, window.number))
        if window.is_looked_at:
            with self._looking():
                window.add(loss, batch)
                self._stepping.has_scaler |= window.is_half

    def end(self, loss: Loss, batch: Any, found: Any) -> None:
        """Tell that it has been computed."""
        if self._window.is_looked_at or (isinstance(found, Tensor) and found.device.type == "cpu"):
            value = float(first_tensor(found).detach())
            if not math.isfinite(value) and "loss-not-finite" not in self._found:
                self._not_finite = self._not_finite or (loss, batch, value)

    def _check_not_finite(self) -> None:
        """After backward(): before it, a call of the model would change buffers that the graph needs."""
        if self._not_finite is not None:
            (loss, batch, value), self._not_finite = self._not_finite, None
            with self._looking():
                self._report(not_finite.check(self.model, self.whole, loss, batch, value, self._window.number))

    def before_step(self) -> None:
        """Called before each step of the optimiser, after the gradients are complete."""
        self._check_not_finite()
        window = self._window
        if window.is_looked_at and window.parts and not window.has_stepped:
            with self._looking():
                self._check_gradients(window)
        window.has_stepped = True
        self._report(self._stepping.stepped(window.number))

    def after_step(self) -> None:
        """Called after each step of the optimiser."""
        if self._updates.before:
            with self._looking():
                self._report(self._updates.end(self._window.number))

    def _next_window(self, is_looked_at: bool) -> Window:
        number = self._window.number + 1 if hasattr(self, "_window") else 0
        return Window(number, self.model, self.whole, is_looked_at)

    def _check_gradients(self, window: Window) -> None:
        scale = getattr(self.optimizer, "grad_scale", None)
        handed = [None if weight.grad is None else _unscaled(weight.grad, scale) for weight in self._weights]
        scaled = float(self.scaler.get_scale()) if self.scaler is not None else 1.0
        step = gradients.Step(window, self._names, self._weights, handed, self._previous, scaled, self.adds_losses)
        is_due = window.number <= FIRST_STEPS or (self._looks.count % GRADIENT_LOOKS == 0 and gradients.world() == 1)
        if is_due and not self._found.keys() & gradients.NAMES:
            self._report(self._guarded("gradients", partial(gradients.check, step)))
            if 1 < len(window.parts) <= MOST and not self.adds_losses:
                self._report(self._guarded("accumulation", partial(accumulation.check, window)))
        self._report(self._updates.begin(step))
        self._previous = handed if window.number < 3 else None
        window.forget()

    def _look(self, loss: Loss, batch: Any) -> None:
        """Judge the model on rows that are held out, or are not trained on yet in this pass."""
        used = batch if self.held_out is None else self.held_out
        number = self._window.number
        with unchanged_by_calls(self.whole), torch.no_grad():
            view = take_view(self.model, loss, used, number, self._steps, self.held_out is not None)
            try:
                with self._units.recorded():
                    view.plain  # noqa: B018
            except Exception as error:
                self._not_checked["outputs"] = _first_line(error)
                return
            for judge in self._judges:
                self._report(self._guarded(_name(judge), partial(judge.look, view)))
            if self.held_out is not None:  # which rows are not learnt shows in those that are trained on
                view = take_view(self.model, loss, batch, number, self._steps, is_held_out=False)
            self._report(self._guarded(_name(self._worst_rows), partial(self._worst_rows.look, view)))

    def _guarded(self, name: str, check: Callable[[], Iterable[Finding]]) -> Iterable[Finding]:
        """What a check finds; it never ends a training with an error of its own."""
        try:
            return list(check())
        except Exception as error:
            self._not_checked[name] = _first_line(error)
            return ()

    def _check_evaluation(self, module: nn.Module, inputs: Any) -> None:
        if not self.is_looking and module.training and not torch.is_grad_enabled():
            self._report(modes.check_evaluation(module, self._window.number))

    def _report(self, found: Iterable[Finding]) -> None:
        for finding in found:
            if finding.name not in self._found:
                if self._first:
                    finding = replace(
                        finding, evidence={**finding.evidence, "step": finding.evidence["step"] + self._first}
                    )
                self._found[finding.name] = finding
                if self._on_finding:
                    self._on_finding(finding)

    @contextmanager
    def _looking(self) -> Iterator[None]:
        began, self.is_looking = time.perf_counter(), True
        try:
            yield
        finally:
            self.is_looking = False
            self._looks.took(time.perf_counter() - began)


def _name(judge: object) -> str:
    """Of the file that a check stands in."""
    return type(judge).__module__.rpartition(".")[2]


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _unscaled(gradient: Tensor, scale: Tensor | None) -> Tensor:
    """A copy; fused optimisers divide by the scale themselves."""
    return gradient.detach().clone() if scale is None else gradient.detach() / scale
