"""`Watch`: follows the calls of the loss and the steps of the optimiser, and decides what is looked at."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from seqloss.doctor.arguments import check_module, check_optimizer
from seqloss.doctor.findings import Finding, Findings
from seqloss.doctor.subject import Loss, NotChecked, first_entry
from seqloss.doctor.watching import not_finite
from seqloss.doctor.watching.apart import is_apart, is_sharded
from seqloss.doctor.watching.calls import Call
from seqloss.doctor.watching.found import Found
from seqloss.doctor.watching.hooks import Hook
from seqloss.doctor.watching.looks import SHARE, Looks
from seqloss.doctor.watching.modes import Modes, has_modes
from seqloss.doctor.watching.output_checks import OutputChecks
from seqloss.doctor.watching.step_checks import FIRST_STEPS, StepChecks
from seqloss.doctor.watching.window import Window
from seqloss.errors import DTypeError, OptionError, ShapeError


class Watch:
    """What `watch` returns; the arguments are the same, and two for loops that others run.

    Args:
        whole: the module whose buffers and attributes the loss may change; the model itself if None.
        sees_steps: whether the gradients are complete when the optimiser's step begins. Otherwise, the loop calls
            `before_step`.
        first: steps that were taken before, in a training that is resumed; findings count them.

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
        check_module(model, "watch(model, optimizer)")
        check_optimizer(optimizer, "watch(model, optimizer)")
        if not 0 < share <= 1:
            raise OptionError(f"share: found {share}, expected a share of the training's time in (0, 1].")
        self.model, self.optimizer, self.whole, self._sees_steps = model, optimizer, whole or model, sees_steps
        if not self._find_weights():
            raise OptionError("optimizer: it holds no weight of the model; make it from model.parameters().")
        self._looks, self._found = Looks(share, steps), Found(first, on_finding)
        self._outputs = OutputChecks(model, self.whole, held_out, blank, steps)
        self._steps = StepChecks(optimizer, scaler, self._found)
        self._modes, self._has_modes = Modes(), has_modes(model)
        self._window = Window(0, model, self.whole, is_looked_at=False)
        self._window.has_stepped = True
        self._call: Call | None = None
        self._calls, self._version, self._in_step, self._in_closure = 0, 0, False, False
        self._not_finite: tuple[Loss, Any, float] | None = None
        self._handles: list[Any] = []

    def __enter__(self) -> Watch:
        self._handles = [self.optimizer.register_step_post_hook(lambda *_: self.after_step())]
        if self._sees_steps:
            self._handles.append(self.optimizer.register_step_pre_hook(lambda *_: self._begin_step()))
        if self._has_modes:
            self._handles.append(self.model.register_forward_pre_hook(Hook(self._see_call)))
        return self

    def __exit__(self, kind: type[BaseException] | None = None, *_: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []
        if kind is None or issubclass(kind, Exception):
            self._check_not_finite()
            self._found.add(self._modes.check(self._window.number, is_end=True))
        if kind is None:
            self._steps.end(self._window.number)
        self._window.forget()

    @property
    def findings(self) -> Findings:
        """All that was found so far, the first step first; the step is in each finding's evidence."""
        return self._found.findings(["gradients", "updates", "stepping", "modes", *self._outputs.names])

    @property
    def seconds(self) -> float:
        """That looking has taken so far."""
        return self._looks.spent

    def add_losses(self, adds: bool) -> None:
        """Say whether the losses of several batches add up to that of one big batch, and are not averaged."""
        self._steps.adds_losses = adds

    @property
    def is_looking(self) -> bool:
        """Whether this or another watch is calling a model to look at it."""
        return is_apart()

    def step(self, loss: Loss, batch: Any) -> Any:
        """Compute the loss of a batch; call it once for each backward().

        Args:
            loss: called with (model, batch). At some steps it is called more than once, with copies of the batch; what
                it changes in the model, in its own variables and in the random states is put back.
            batch: as the loss takes it.

        Returns:
            What the loss returns: a scalar with its graph, a tuple or mapping that begins with it, or None for a batch
            that is left out.

        Raises:
            ShapeError: the first loss has not exactly one number, or it is an empty tuple or mapping; also a TypeError.
            DTypeError: the first loss is no tensor.
        """
        if is_apart() or not torch.is_grad_enabled():  # an evaluation
            return loss(self.model, batch)
        self.begin(loss, batch)
        found = loss(self.model, batch)
        self.end(loss, batch, found)
        return found

    def begin(self, loss: Loss, batch: Any) -> None:
        """Tell that the loss of a batch is about to be computed, for loops that do so themselves."""
        if is_apart():
            return
        window = self._window
        if self._not_finite is not None:
            self._check_not_finite()
        if not (window.has_stepped or self._in_step) and (self._call is None or self._call.seed is not None):
            self._check_waiting(window)
        self._calls += 1
        self._in_closure, is_new = self._in_step, window.has_stepped
        if is_new:
            number = window.number + 1
            window = self._window = Window(number, self.model, self.whole, self._looks.wants(number))
        self._version = self._weights[0]._version if self._weights else 0
        if self._modes.has_seen:
            self._found.add(self._modes.check(window.number))
        is_plain = is_new and not window.is_looked_at and (self.model.training or not self._has_modes)
        self._call = None if is_plain else Call()
        if window.is_looked_at:
            with self._looking():
                self._look_before(window, loss, batch, is_new)

    def _is_moved(self) -> bool:
        return bool(self._weights) and self._weights[0]._version != self._version

    def _check_waiting(self, window: Window) -> None:
        """The gradient of the last call was computed, and no step followed."""
        if self._is_moved():
            self._found.not_checked["stepping"] = "the weights are changed without a step of this optimizer"
            self._steps.stepping.stepped()
            window.has_stepped = True
            return
        self._steps.stepping.has_scaler |= self._call is not None and self._call.is_scaled
        weights = self._weights if window.is_looked_at else self._weights[:1]
        if weights:
            if self._steps.stepping.is_discarded(weights, window.is_looked_at or weights[0].is_cpu):
                window.forget()
            self._found.add(self._steps.stepping.check(window.number))

    def _look_before(self, window: Window, loss: Loss, batch: Any, is_new: bool) -> None:
        """Look at the model before a step, and keep what the gradient is computed from."""
        if is_sharded(self.whole):
            self._found.not_checked |= dict.fromkeys(
                ("gradients", "outputs"), "the weights are sharded between processes"
            )
            return
        if is_new:
            self._find_weights()
            if window.number == 1 or window.number > FIRST_STEPS:
                self._found.not_checked.pop("outputs", None)  # a look that failed is made up for by this one
                self._found.check("outputs", partial(self._outputs.look, self._found, loss, batch, window.number))
            if self._steps.ranks.waiting:
                self._found.check("gradients", self._steps.ranks.compare)
        if self._in_closure:
            self._found.not_checked["gradients"] = "the loss is computed within optimizer.step(closure)"
        else:
            self._found.check("gradients", partial(self._keep, window, loss, batch))

    def _keep(self, window: Window, loss: Loss, batch: Any) -> None:
        if not self._weights:
            raise NotChecked("the optimizer holds no weight of the model any more")
        assert self._call is not None
        self._call.part = window.add(loss, batch, list(self.model.parameters()))
        self._steps.stepping.has_scaler |= window.is_half

    def end(self, loss: Loss, batch: Any, found: Any) -> None:
        """Tell that it has been computed."""
        if is_apart():
            return
        try:
            value = None if found is None else first_entry(found)
        except (ShapeError, DTypeError) as error:
            if self._calls == 1:
                raise
            value, self._found.not_checked["gradients"] = None, str(error)
        call = self._call
        if call is not None:
            self._follow(call, value)
        if value is not None and (value.is_cpu or self._window.is_looked_at):
            number = value.item()
            if not math.isfinite(number) and "loss-not-finite" not in self._found.by_name:
                self._not_finite = self._not_finite or (loss, batch, number)

    def _follow(self, call: Call, value: Tensor | None) -> None:
        if value is None:
            self._window.leave_out(call.part)
        elif value.requires_grad:
            value.register_hook(lambda gradient: call.see(gradient, self._see_backward()))

    def _see_backward(self) -> int:
        if self._has_modes and not self.model.training:
            self._modes.trained = self._window.number
        return self._calls

    def _check_not_finite(self) -> None:
        """After backward(): before it, a call of the model would change buffers that the graph needs."""
        if self._not_finite is not None:
            (loss, batch, value), self._not_finite = self._not_finite, None
            with self._looking():
                check = partial(not_finite.check, self.model, self.whole, loss, batch, value, self._window.number)
                self._found.check("not_finite", check)

    def _begin_step(self) -> None:
        self.before_step()
        self._in_step = True

    def before_step(self) -> None:
        """Called before each step of the optimiser, after the gradients are complete."""
        if self._not_finite is not None:
            self._check_not_finite()
        if self._modes.has_seen:
            self._found.add(self._modes.check(self._window.number))
        window = self._window
        if window.is_looked_at and window.kept and not window.has_stepped:
            with self._looking():
                self._steps.before(window, self._names, self._weights, self._looks.count)
        window.has_stepped = True
        self._steps.stepping.stepped()

    def after_step(self) -> None:
        """Called after each step of the optimiser."""
        self._in_step = False
        if self._in_closure:
            self._window.has_stepped, self._in_closure = True, False
        if self._steps.updates.before:
            with self._looking():
                self._steps.after(self._window.number)

    def _find_weights(self) -> bool:
        """The model's weights that the optimiser holds now."""
        names = {id(weight): name for name, weight in self.model.named_parameters()}
        held = [weight for group in self.optimizer.param_groups for weight in group["params"] if id(weight) in names]
        self._weights, self._names = held, [names[id(weight)] for weight in held]
        return bool(held)

    def _see_call(self, module: nn.Module, inputs: Any) -> None:
        if torch.is_grad_enabled() or torch.compiler.is_compiling() or is_apart():
            return
        self._modes.see_call(module, self._window.number)

    @contextmanager
    def _looking(self) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self._looks.took(time.perf_counter() - began)
