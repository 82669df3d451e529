"""Trainings that call the loss and step in other ways than the plain loop, and must neither change nor be accused."""

from __future__ import annotations

import copy
import io
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, update_bn
from torch.utils.checkpoint import checkpoint

from seqloss.doctor import watch
from seqloss.doctor.watching.follower import Watch
from seqloss.errors import DTypeError, ShapeError

from .trainings import Network, make_batches, sgd, squared_error

Loop = Callable[[Callable[..., Any], nn.Module, torch.optim.Optimizer], None]


def run(loop: Loop, make: Callable[[], nn.Module] = Network, **options: Any) -> Watch:
    """Train twice, with and without the watch; both end with the same weights and buffers."""
    plain, watched = make(), make()
    torch.manual_seed(1), random.seed(1)
    loop(lambda loss, batch: loss(plain, batch), plain, sgd(plain))
    torch.manual_seed(1), random.seed(1)
    optimizer = sgd(watched)
    with watch(watched, optimizer, **{"share": 1.0, **options}) as watch_of_it:
        loop(watch_of_it.step, watched, optimizer)
    assert all(map(torch.equal, watched.state_dict().values(), plain.state_dict().values()))
    return watch_of_it


def loop_with(loss: Callable[..., Any], rows: int = 6) -> Loop:
    def loop(step: Callable[..., Any], model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        for batch in make_batches(5, rows) * 2:
            optimizer.zero_grad()
            step(loss, batch).backward()
            optimizer.step()

    return loop


def closures(step: Callable[..., Any], model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    for batch in make_batches(80):

        def closure(batch: Any = batch) -> Any:
            optimizer.zero_grad()
            value = step(squared_error, batch)
            value.backward()
            return value

        optimizer.step(closure)


def steps_left_out(step: Callable[..., Any], model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    for number, batch in enumerate(make_batches(40)):
        value = step(squared_error, batch)
        optimizer.zero_grad()
        value.backward()
        if number % 4:
            optimizer.step()


def last_window_left_over(step: Callable[..., Any], model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    for number, batch in enumerate(make_batches(10) * 4):
        (step(squared_error, batch) / 4).backward()
        if number % 10 in (3, 7):
            optimizer.step()
            optimizer.zero_grad()


def last_window_dropped(step: Callable[..., Any], model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    for number, batch in enumerate(make_batches(10) * 4):
        if number % 10 == 0:
            optimizer.zero_grad()
        (step(squared_error, batch) / 4).backward()
        if number % 10 in (3, 7):
            optimizer.step()
            optimizer.zero_grad()


def hundred_batches(step: Callable[..., Any], model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    for number, batch in enumerate(make_batches(200)):
        (step(squared_error, batch) / 100).backward()
        if number % 100 == 99:
            optimizer.step()
            optimizer.zero_grad()


def losses_added(step: Callable[..., Any], model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    def decay(model: nn.Module, batch: Any) -> Tensor:
        return torch.stack([weight.square().sum() for weight in model.parameters()]).sum()

    for batch in make_batches(12):
        optimizer.zero_grad()
        (step(squared_error, batch) + 1e-3 * step(decay, batch)).backward()
        optimizer.step()


def sharpness_aware(step: Callable[..., Any], model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    for batch in make_batches(12):
        optimizer.zero_grad()
        step(squared_error, batch).backward()
        weights = list(model.parameters())
        moves = [0.05 * weight.grad for weight in weights if weight.grad is not None]
        with torch.no_grad():
            for weight, move in zip(weights, moves, strict=True):
                weight.add_(move)
        optimizer.zero_grad()
        step(squared_error, batch).backward()
        with torch.no_grad():
            for weight, move in zip(weights, moves, strict=True):
                weight.sub_(move)
        optimizer.step()


def evaluations(step: Callable[..., Any], model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    for number, batch in enumerate(make_batches(20)):
        step(squared_error, batch).backward()
        optimizer.step()
        optimizer.zero_grad()
        model.eval()
        with (torch.no_grad, torch.inference_mode, torch.enable_grad)[number % 3]():
            step(squared_error, batch)
            squared_error(model, batch)
        model.train()


def frozen_later(step: Callable[..., Any], model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    assert isinstance(model, Network)
    for number, batch in enumerate(make_batches(20)):
        model.layers[0].requires_grad_(not 1 <= number < 6)
        if number == 3:
            torch.manual_seed(9)
            model.layers.append(nn.Linear(1, 1))
            optimizer.add_param_group({"params": model.layers[5].parameters()})
        optimizer.zero_grad()
        step(squared_error, batch).backward()
        optimizer.step()


def averaged_and_saved(step: Callable[..., Any], model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    averaged, copied = AveragedModel(model), copy.deepcopy(model)
    for batch in make_batches(12):
        optimizer.zero_grad()
        step(squared_error, batch).backward()
        optimizer.step()
        averaged.update_parameters(model)
        torch.save(model, file := io.BytesIO())
        file.seek(0)
        with torch.no_grad():
            for other in (copied, torch.load(file, weights_only=False)):
                squared_error(other.train(), batch)
    update_bn([inputs for inputs, _ in make_batches(2)], averaged)
    update_bn([inputs for inputs, _ in make_batches(2)], model)


def buffers_used_again(step: Callable[..., Any], model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    buffers = make_batches(1)[0]
    for number, batch in enumerate(make_batches(20)):
        for buffer, part in zip(buffers, batch, strict=True):
            buffer.copy_(part)
        (step(squared_error, buffers) / 2).backward()
        if number % 2:
            optimizer.step()
            optimizer.zero_grad()


LOOPS = [closures, steps_left_out, last_window_left_over, last_window_dropped, hundred_batches, losses_added,
         sharpness_aware, evaluations, frozen_later, averaged_and_saved, buffers_used_again]  # fmt: skip


@pytest.mark.parametrize("loop", LOOPS, ids=lambda loop: loop.__name__)
def test_loops_that_are_healthy(loop: Loop) -> None:
    found = run(loop).findings
    assert not found, str(found)


def in_place(model: nn.Module, batch: Any) -> Tensor:
    batch[0].mul_(1.01)
    return squared_error(model, batch)


def mixed(model: nn.Module, batch: Any) -> Tensor:
    share, order = torch.rand(()), torch.randperm(len(batch[0]))
    inputs, targets = (share * part + (1 - share) * part[order] for part in batch)
    return squared_error(model, (inputs, targets)) * random.random()


def make_stateful() -> Callable[..., Tensor]:
    seen, calls = [torch.zeros(1)], 0

    def loss(model: nn.Module, batch: Any) -> Tensor:
        nonlocal calls
        calls += 1
        seen[0] = 0.9 * seen[0] + batch[0].mean()
        return squared_error(model, (batch[0] + seen[0], batch[1])) * (1 + 1 / calls)

    return loss


@pytest.mark.parametrize("loss", [in_place, mixed, make_stateful], ids=lambda loss: loss.__name__)
def test_losses_with_effects_of_their_own(loss: Any) -> None:
    losses = iter([loss(), loss()] if loss is make_stateful else [loss, loss])
    found = run(lambda *given: loop_with(next(losses))(*given)).findings
    assert not found, str(found)
    assert not found.not_checked


def test_a_batch_that_is_read_once_is_not_read_by_the_watch() -> None:
    def loop(step: Callable[..., Any], model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        def one(batch: Any) -> Iterator[Any]:
            yield batch

        for batch in make_batches(12):
            optimizer.zero_grad()
            step(lambda model, batches: squared_error(model, next(batches)), one(batch)).backward()
            optimizer.step()

    found = run(loop).findings
    assert not found
    assert "read only once" in found.not_checked["gradients"]


def test_a_batch_without_a_loss_is_left_out() -> None:
    def loop(step: Callable[..., Any], model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        for number, batch in enumerate(make_batches(12)):
            optimizer.zero_grad()
            value = step(lambda model, batch, number=number: None if number % 3 else squared_error(model, batch), batch)
            if value is not None:
                value.backward()
                optimizer.step()

    assert not run(loop).findings


def test_several_losses_are_refused_at_the_first_call() -> None:
    model = Network()
    with watch(model, sgd(model)) as watched, pytest.raises(TypeError, match="return the mean or the sum"):
        watched.step(lambda model, batch: (model(batch[0]) - batch[1]).square(), make_batches()[0])


@pytest.mark.parametrize(("value", "error"), [(torch.zeros(8, 1), ShapeError), ({}, ShapeError), (3.0, DTypeError)])
def test_what_is_no_loss_is_an_error_of_seqloss_at_the_first_call_and_passed_over_later(
    value: object, error: type[Exception]
) -> None:
    model = Network()
    with watch(model, sgd(model)) as watched, pytest.raises(error, match=r"^loss: "):
        watched.step(lambda model, batch: value, make_batches()[0])
    with watch(model, sgd(model)) as watched:
        watched.step(squared_error, make_batches()[0])
        assert watched.step(lambda model, batch: value, make_batches()[0]) is value


@pytest.mark.parametrize(
    ("model", "optimizer", "message"),
    [
        (sgd(Network()), Network(), "model: .* found SGD; the model stands before the optimiser: watch"),
        (torch.optim.SGD, Network(), "model: .* found the class SGD; the model stands before the optimiser"),
        (Network, None, "model: .* found the class Network; this is the class: give an instance, Network"),
        (Network(), torch.optim.SGD, r"optimizer: .* the class SGD; .*: make it from the weights, SGD\(model\.par"),
        (Network(), None, r"optimizer: .* found NoneType; give the optimiser that trains the model: watch\(model, opt"),
    ],
)
def test_a_wrong_model_or_optimiser_is_refused_with_what_to_give(model: Any, optimizer: Any, message: str) -> None:
    with pytest.raises(DTypeError, match=message):
        watch(model, optimizer)


def test_the_two_models_of_a_gan() -> None:
    def train(are_watched: bool) -> tuple[list[Tensor], list[str]]:
        torch.manual_seed(0)
        maker = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 4))
        judge = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.LeakyReLU(), nn.Linear(8, 1))
        entropy = nn.functional.binary_cross_entropy_with_logits

        def judged(judge: nn.Module, real: Tensor) -> Tensor:
            with torch.no_grad():
                made = maker(torch.randn(real.shape))
            return entropy(judge(torch.cat([real, made])), torch.arange(24.0)[:, None].lt(12).float())

        def made(maker: nn.Module, real: Tensor) -> Tensor:
            found = judge(maker(torch.randn(real.shape)))
            return entropy(found, torch.ones_like(found))

        pairs = [
            (model, torch.optim.Adam(model.parameters()), loss) for model, loss in ((judge, judged), (maker, made))
        ]
        watches = [watch(model, optimizer, share=1.0) for model, optimizer, _ in pairs]
        for one in watches if are_watched else ():
            one.__enter__()
        for batch, _ in make_batches(20):
            for (model, optimizer, loss), one in zip(pairs, watches, strict=True):
                optimizer.zero_grad()
                (one.step(loss, batch) if are_watched else loss(model, batch)).backward()
                optimizer.step()
        for one in watches if are_watched else ():
            one.__exit__()
        states = [*maker.state_dict().values(), *judge.state_dict().values()]
        return states, [name for one in watches for name in one.findings.names]

    (plain, _), (watched, names) = train(False), train(True)
    assert names == []
    assert all(map(torch.equal, plain, watched))


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpoints(reentrant: bool) -> None:
    class Checkpointed(Network):
        def forward(self, x: Tensor) -> Tensor:
            return self.layers[4](checkpoint(self.layers[:4], x.clone().requires_grad_(), use_reentrant=reentrant))

    found = run(loop_with(squared_error), Checkpointed).findings
    assert not found
    assert ("use_reentrant=False" in found.not_checked.get("gradients", "")) == reentrant


def test_a_loss_scaled_by_a_scaler_that_the_watch_does_not_know() -> None:
    model = Network()
    optimizer, scaler = sgd(model), torch.amp.GradScaler("cpu", init_scale=2.0**120, growth_interval=3)
    with watch(model, optimizer, share=1.0) as watched:
        for number, batch in enumerate(make_batches(40)):
            optimizer.zero_grad()
            scaler.scale(watched.step(squared_error, batch)).backward()
            if number < 5 or number % 4 == 0:
                next(model.parameters()).grad.fill_(float("inf"))  # type: ignore[union-attr]
            scaler.step(optimizer)
            scaler.update()
    assert not watched.findings


@pytest.mark.parametrize("divided", [True, False])
def test_accumulation_with_a_scaler(divided: bool) -> None:
    """That the loss is not divided shows although gradients are clipped."""
    for known in (True, False):
        model = Network()
        optimizer, scaler = sgd(model), torch.amp.GradScaler("cpu", init_scale=2.0**16)
        with watch(model, optimizer, scaler=scaler if known else None, share=1.0) as watched:
            for number, batch in enumerate(make_batches(12)):
                value = watched.step(squared_error, batch)
                scaler.scale(value / 4 if divided else value).backward()
                if number % 4 == 3:
                    scaler.unscale_(optimizer)
                    nn.utils.clip_grad_norm_(model.parameters(), 0.1)
                    scaler.step(optimizer)
                    scaler.update()
                    optimizer.zero_grad()
        assert watched.findings.names == (["accumulation-not-averaged"] if known and not divided else [])


def test_models_that_are_compiled_are_not_compiled_again() -> None:
    torch._dynamo.reset()
    graphs = []

    def count(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    model = Network()
    optimizer = sgd(model)
    compiled: Any = torch.compile(model, backend=count, fullgraph=True)
    with watch(compiled, optimizer, share=1.0) as watched:
        loop_with(squared_error)(watched.step, model, optimizer)
    assert len(graphs) == 1
    assert not watched.findings
    assert not watched.findings.not_checked


def test_a_script_is_trained_as_before() -> None:
    found = run(loop_with(squared_error), lambda: torch.jit.script(Network())).findings
    assert not found


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_an_exception_ends_the_watch(kind: type[BaseException]) -> None:
    model = Network()
    optimizer = sgd(model)
    with pytest.raises(kind), watch(model, optimizer, share=1.0) as watched:  # noqa: PT012
        watched.step(squared_error, make_batches()[0]).backward()
        raise kind
    assert not optimizer._optimizer_step_pre_hooks
    assert not model._forward_pre_hooks
