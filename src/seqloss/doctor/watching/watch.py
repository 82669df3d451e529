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
from seqloss.doctor.subject import Loss, NotChecked, first_entry
from seqloss.doctor.watching import accumulation, gradients, not_finite
from seqloss.doctor.watching.apart import apart, is_apart, is_sharded, world
from seqloss.doctor.watching.blanks import Blanks
from seqloss.doctor.watching.calls import Call
from seqloss.doctor.watching.copies import copy_batch, steadily
from seqloss.doctor.watching.exchange import Exchange
from seqloss.doctor.watching.hooks import Hook
from seqloss.doctor.watching.looks import SHARE, Looks
from seqloss.doctor.watching.lost import Lost
from seqloss.doctor.watching.modes import Modes, has_modes
from seqloss.doctor.watching.ranks import Ranks
from seqloss.doctor.watching.spread import Spread
from seqloss.doctor.watching.stepping import Stepping
from seqloss.doctor.watching.train_and_eval import TrainAndEval
from seqloss.doctor.watching.units import Units
from seqloss.doctor.watching.updates import Updates
from seqloss.doctor.watching.view import take_view
from seqloss.doctor.watching.window import MOST, Window
from seqloss.doctor.watching.worst_rows import WorstRows
from seqloss.errors import OptionError, wrong_dtype

FIRST_STEPS = 3
"""Steps whose gradients are kept: that of the second is computed again, with several batches those of all three."""

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
    again. At the first step and at later ones, farther and farther apart, the model is looked at on a few rows: inputs
    are exchanged between rows, outputs compared with targets, activations and updates measured. Weights, buffers and
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
        if not self._find_weights():
            raise OptionError("optimizer: it holds no weight of the model; make it from model.parameters().")
        self._steps, self._looks, self._on_finding = steps, Looks(share, steps), on_finding
        exchange = Exchange()
        self._stepping, self._updates, self._units = Stepping(scaler is not None), Updates(optimizer), Units(model)
        self._judges: list[Any] = [exchange, *([] if blank is None else [Blanks(blank, exchange)]), Spread(),
                                   self._units, TrainAndEval()]  # fmt: skip
        self._worst_rows = WorstRows()
        self._modes, self._has_modes, self._ranks, self._lost = Modes(), has_modes(model), Ranks(), Lost()
        self._window = Window(0, model, self.whole, is_looked_at=False)
        self._window.has_stepped = True
        self._call: Call | None = None
        self._calls, self._version, self._in_step, self._in_closure = 0, 0, False, False
        self._found: dict[str, Finding] = {}
        self._not_checked: dict[str, str] = {}
        self._previous: list[Tensor | None] | None = None
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
            self._report(self._modes.check(self._window.number, is_end=True))
        if kind is None:
            self._report(self._stepping.at_end(self._window.number))
            self._report(self._guarded("gradients", partial(self._ranks.compare, is_end=True)))
        self._window.forget()
        self._previous = None

    @property
    def findings(self) -> Findings:
        """All that was found so far, the first step first: what comes later is often caused by it."""
        found = sorted(self._found.values(), key=lambda finding: (finding.evidence.get("step", 0), finding.rank))
        checks = ["gradients", "updates", "stepping", "modes", *map(_name, [*self._judges, self._worst_rows])]
        checked = tuple(name for name in checks if name not in self._not_checked)
        return Findings(tuple(found), checked, dict(self._not_checked))

    @property
    def seconds(self) -> float:
        """That looking has taken so far."""
        return self._looks.spent

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
            TypeError: the first loss is no scalar.
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
            self._report(self._modes.check(window.number))
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
            self._not_checked["stepping"] = "the weights are changed without a step of this optimizer"
            self._stepping.stepped()
            window.has_stepped = True
            return
        self._stepping.has_scaler |= self._call is not None and self._call.is_scaled
        weights = self._weights if window.is_looked_at else self._weights[:1]
        if weights:
            if self._stepping.is_discarded(weights, window.is_looked_at or weights[0].is_cpu):
                window.forget()
            self._report(self._stepping.check(window.number))

    def _look_before(self, window: Window, loss: Loss, batch: Any, is_new: bool) -> None:
        """Look at the model before a step, and keep what the gradient is computed from."""
        if is_sharded(self.whole):
            self._not_checked |= dict.fromkeys(("gradients", "outputs"), "the weights are sharded between processes")
            return
        if is_new:
            self._find_weights()
            if window.number == 1 or window.number > FIRST_STEPS:
                self._not_checked.pop("outputs", None)  # a look that failed is made up for by this one
                self._guarded("outputs", partial(self._look, loss, batch))
            if self._ranks.waiting:
                self._report(self._guarded("gradients", self._ranks.compare))
        if self._in_closure:
            self._not_checked["gradients"] = "the loss is computed within optimizer.step(closure)"
        else:
            self._guarded("gradients", partial(self._keep, window, loss, batch))

    def _keep(self, window: Window, loss: Loss, batch: Any) -> tuple[Finding, ...]:
        if not self._weights:
            raise NotChecked("the optimizer holds no weight of the model any more")
        assert self._call is not None
        self._call.part = window.add(loss, batch, list(self.model.parameters()))
        self._stepping.has_scaler |= window.is_half
        return ()

    def end(self, loss: Loss, batch: Any, found: Any) -> None:
        """Tell that it has been computed."""
        if is_apart():
            return
        try:
            value = None if found is None else first_entry(found)
        except TypeError as error:
            if self._calls == 1:
                raise
            value, self._not_checked["gradients"] = None, str(error)
        call = self._call
        if call is not None:
            self._follow(call, value)
        if value is not None and (value.is_cpu or self._window.is_looked_at):
            number = value.item()
            if not math.isfinite(number) and "loss-not-finite" not in self._found:
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
                self._report(self._guarded("not_finite", check))

    def _begin_step(self) -> None:
        self.before_step()
        self._in_step = True

    def before_step(self) -> None:
        """Called before each step of the optimiser, after the gradients are complete."""
        if self._not_finite is not None:
            self._check_not_finite()
        if self._modes.has_seen:
            self._report(self._modes.check(self._window.number))
        window = self._window
        if window.is_looked_at and window.kept and not window.has_stepped:
            with self._looking():
                self._check_gradients(window)
        window.has_stepped = True
        self._stepping.stepped()

    def after_step(self) -> None:
        """Called after each step of the optimiser."""
        self._in_step = False
        if self._in_closure:
            self._window.has_stepped, self._in_closure = True, False
        if self._updates.before:
            with self._looking():
                self._report(self._updates.end(self._window.number))

    def _find_weights(self) -> bool:
        """The model's weights that the optimiser holds now."""
        names = {id(weight): name for name, weight in self.model.named_parameters()}
        held = [weight for group in self.optimizer.param_groups for weight in group["params"] if id(weight) in names]
        self._weights, self._names = held, [names[id(weight)] for weight in held]
        return bool(held)

    def _check_gradients(self, window: Window) -> None:
        scale = getattr(self.optimizer, "grad_scale", None)
        handed = [None if weight.grad is None else _unscaled(weight.grad, scale) for weight in self._weights]
        scaled = float(self.scaler.get_scale()) if self.scaler is not None else 1.0
        self._lost.batches = 0 if self._stepping.has_scaler else self._stepping.discarded
        step = gradients.Step(
            window, self._names, self._weights, handed, self._previous, scaled, self.adds_losses,
            self._ranks, self._lost,
        )  # fmt: skip
        if self._is_due(window) and not self._found.keys() & gradients.NAMES:
            self._report(self._guarded("gradients", partial(gradients.check, step)))
            if 1 < len(window.parts) <= MOST and window.is_even and not self.adds_losses:
                self._report(self._guarded("accumulation", partial(accumulation.check, window)))
        elif window.number == 1 and world() > 1:
            self._guarded("gradients", partial(self._ranks.keep, handed))
        self._report(self._lost.look(window.number))
        self._report(self._updates.begin(step))
        self._previous = handed if window.number < FIRST_STEPS else None
        window.forget()

    def _is_due(self, window: Window) -> bool:
        """Whether the gradient is computed again."""
        if window.number <= FIRST_STEPS:
            return window.number == 2 or len(window.parts) > 1
        return self._looks.count % GRADIENT_LOOKS == 0 and world() == 1

    def _look(self, loss: Loss, batch: Any) -> tuple[Finding, ...]:
        """Judge the model on rows that are held out, or are not trained on yet in this pass."""
        used = copy_batch(batch if self.held_out is None else self.held_out)
        number = self._window.number
        with apart(self.whole, loss), torch.no_grad():
            view = take_view(self.model, steadily(loss), used, number, self._steps, self.held_out is not None)
            with self._units.recorded():
                view.plain  # noqa: B018
            for judge in self._judges:
                self._report(self._guarded(_name(judge), partial(judge.look, view)))
            if self.held_out is not None:  # which rows are not learnt shows in those that are trained on
                used = copy_batch(batch)
                view = take_view(self.model, steadily(loss), used, number, self._steps, is_held_out=False)
            self._report(self._guarded(_name(self._worst_rows), partial(self._worst_rows.look, view)))
        return ()

    def _guarded(self, name: str, check: Callable[[], Iterable[Finding]]) -> Iterable[Finding]:
        """What a check finds; it never ends a training with an error of its own."""
        try:
            return list(check())
        except Exception as error:
            self._not_checked[name] = _first_line(error)
            return ()

    def _see_call(self, module: nn.Module, inputs: Any) -> None:
        if torch.is_grad_enabled() or torch.compiler.is_compiling() or is_apart():
            return
        self._modes.see_call(module, self._window.number)

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
        began = time.perf_counter()
        try:
            yield
        finally:
            self._looks.took(time.perf_counter() - began)


def _name(judge: object) -> str:
    """Of the file that a check stands in."""
    return type(judge).__module__.rpartition(".")[2]


def _first_line(error: Exception) -> str:
    kind = "" if isinstance(error, NotChecked | TimeoutError) else f"{type(error).__name__}: "
    return f"{kind}{error}".splitlines()[0]


def _unscaled(gradient: Tensor, scale: Tensor | None) -> Tensor:
    """A copy; fused optimisers divide by the scale themselves."""
    return gradient.detach().clone() if scale is None else gradient.detach() / scale
