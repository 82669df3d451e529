"""DenseSparseOptimizer gives the bits of two optimisers by hand, and is one optimiser to everything that takes one."""

from __future__ import annotations

import copy
import io
import pickle
from functools import partial
from typing import Any

import lightning.pytorch as lightning
import pytest
import torch
from torch import nn
from torch.optim import SGD, Adagrad, Adam, AdamW, SparseAdam
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR, ReduceLROnPlateau

from seqloss.errors import DTypeError, GradientError, OptionError, SeqLossWarning, ShapeError
from seqloss.torch.optim import SMORMS3, DenseSparseOptimizer

from .models import WIDTH, WORDS, Bags, TwoByHand, loss_of, same, train


def test_its_steps_are_those_of_two_optimisers_by_hand() -> None:
    ours, theirs = Bags(), Bags()
    train(ours, DenseSparseOptimizer(ours), range(20))
    train(theirs, TwoByHand(theirs), range(20))  # type: ignore[arg-type]
    assert same(ours, theirs)
    assert not same(ours, Bags())


@pytest.mark.parametrize(
    ("dense", "sparse"), [(SMORMS3, SGD), (AdamW, Adagrad), (partial(SGD, lr=0.1, momentum=0.9), SparseAdam)]
)
def test_any_two_optimisers_can_be_its_parts(dense: Any, sparse: Any) -> None:
    model = Bags()
    optimizer = DenseSparseOptimizer(model, dense=dense, sparse=sparse)
    before = loss_of(model, 0).item()
    train(model, optimizer, range(1))
    assert loss_of(model, 0).item() < before
    assert len(optimizer.state) in (4, 6)  # SGD without momentum has none
    assert [len(group["params"]) for group in optimizer.param_groups] == [4, 2]


def test_a_part_may_have_several_groups() -> None:
    def decayed(params: list[nn.Parameter]) -> AdamW:
        matrices = [param for param in params if param.ndim > 1]
        return AdamW([{"params": matrices}, {"params": [p for p in params if p.ndim < 2], "weight_decay": 0.0}])

    model = Bags()
    optimizer = DenseSparseOptimizer(model, dense=decayed)
    assert [group.get("weight_decay") for group in optimizer.param_groups] == [0.01, 0.0, None]
    train(model, optimizer, range(2))
    again = DenseSparseOptimizer(model, dense=decayed)
    again.load_state_dict(optimizer.state_dict())
    assert [group.get("weight_decay") for group in again.param_groups] == [0.01, 0.0, None]


# --- one optimiser


@pytest.mark.parametrize("set_to_none", [True, False])
def test_zero_grad_clears_both_kinds(set_to_none: bool) -> None:
    model = Bags()
    optimizer = DenseSparseOptimizer(model)
    loss_of(model, 0).backward()
    optimizer.zero_grad(set_to_none=set_to_none)
    for param in model.parameters():
        assert param.grad is None if set_to_none else not param.grad.to_dense().any()
    ours, theirs = copy.deepcopy(model), model
    for one in (ours, theirs):
        one.zero_grad(set_to_none=one is ours)
        loss_of(one, 1).backward()
    assert torch.equal(ours.words.weight.grad.to_dense(), theirs.words.weight.grad.to_dense())


def test_a_closure_is_called_once_with_gradients_and_its_loss_is_returned() -> None:
    ours, theirs, losses = Bags(), Bags(), []
    optimizer = DenseSparseOptimizer(ours)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        losses.append(loss_of(ours, 0))
        losses[-1].backward()
        return losses[-1]

    with torch.no_grad():
        assert optimizer.step(closure) is losses[0]
    assert len(losses) == 1
    train(theirs, TwoByHand(theirs), range(1))  # type: ignore[arg-type]
    assert same(ours, theirs)


def test_a_saved_state_continues_with_the_same_bits() -> None:
    model = Bags()
    optimizer = DenseSparseOptimizer(model, dense=partial(Adam, lr=0.05))
    train(model, optimizer, range(5))
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
    file.seek(0)
    saved, other = torch.load(file), Bags()
    other.load_state_dict(saved["model"])
    resumed = DenseSparseOptimizer(other)
    resumed.load_state_dict(saved["optimizer"])
    assert [group["lr"] for group in resumed.param_groups] == [0.05, 1e-3]
    assert resumed.param_groups[0].keys() == optimizer.param_groups[0].keys()
    before = copy.deepcopy(saved["optimizer"]["state"])
    train(model, optimizer, range(5, 10))
    train(other, resumed, range(5, 10))
    assert same(model, other)
    for number, state in saved["optimizer"]["state"].items():  # the caller's tensors are not written to
        assert torch.equal(state["exp_avg"], before[number]["exp_avg"])


def test_nothing_is_loaded_if_the_second_part_refuses_its_share() -> None:
    def refuse(part: torch.optim.Optimizer, state: dict[str, Any]) -> None:
        raise ValueError("mine")

    model, undisturbed = Bags(), Bags()
    optimizer, other = DenseSparseOptimizer(model), DenseSparseOptimizer(undisturbed)
    train(model, optimizer, range(2))
    saved = copy.deepcopy(optimizer.state_dict())
    train(model, optimizer, range(2, 4))
    optimizer.parts["sparse"].register_load_state_dict_pre_hook(refuse)
    with pytest.raises(ValueError, match="mine"):
        optimizer.load_state_dict(saved)
    train(model, optimizer, range(4, 6))
    train(undisturbed, other, range(6))
    assert same(model, undisturbed)


def test_a_loaded_state_follows_the_rules_of_its_part() -> None:
    """SMORMS3 has a float32 state of half weights, which PyTorch's loading would round."""
    model = Bags().to(torch.bfloat16)
    optimizer = DenseSparseOptimizer(model, dense=SMORMS3, sparse=SGD)
    train(model, optimizer, range(3))
    other = DenseSparseOptimizer(model, dense=SMORMS3, sparse=SGD)
    other.load_state_dict(optimizer.state_dict())
    for param in (model.hidden.weight, model.out.bias):
        assert other.state[param]["memory"].dtype == torch.float32
        assert torch.equal(other.state[param]["memory"], optimizer.state[param]["memory"])


@pytest.mark.parametrize("copy_of", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_continues_with_the_same_bits(copy_of: Any) -> None:
    model = Bags()
    optimizer = DenseSparseOptimizer(model)
    train(model, optimizer, range(3))
    other, again = copy_of((model, optimizer))
    train(model, optimizer, range(3, 6))
    train(other, again, range(3, 6))
    assert same(model, other)
    assert again.param_groups[1]["params"][0] is other.words.weight


# --- what takes an optimiser


def test_schedules_drive_both_parts_also_after_loading() -> None:
    ours, theirs = Bags(), Bags()
    optimizer, hand = DenseSparseOptimizer(ours), TwoByHand(theirs)

    def schedules(*optimizers: Any) -> list[LambdaLR]:
        return [LambdaLR(one, lambda step: 0.5**step) for one in optimizers]

    (ours_schedule,), theirs_schedules = schedules(optimizer), schedules(hand.dense, hand.sparse)
    train(ours, optimizer, range(3), ours_schedule.step)
    train(theirs, hand, range(6), lambda: [one.step() for one in theirs_schedules])  # type: ignore[arg-type]
    assert [group["lr"] for group in optimizer.parts["sparse"].param_groups] == [1e-3 / 8]
    resumed = DenseSparseOptimizer(ours)
    (again,) = schedules(resumed)
    resumed.load_state_dict(optimizer.state_dict())
    again.load_state_dict(ours_schedule.state_dict())
    train(ours, resumed, range(3, 6), again.step)
    assert same(ours, theirs)


def test_each_group_may_have_its_own_schedule() -> None:
    model = Bags()
    optimizer = DenseSparseOptimizer(model)
    schedule = LambdaLR(optimizer, [lambda step: 1.0, lambda step: 0.0])
    words, hidden = model.words.weight.detach().clone(), model.hidden.weight.detach().clone()
    train(model, optimizer, range(2), schedule.step)
    assert torch.equal(model.words.weight, words)
    assert not torch.equal(model.hidden.weight, hidden)


def test_schedules_that_look_for_betas_or_set_rates_themselves() -> None:
    model = Bags()
    optimizer = DenseSparseOptimizer(model)
    cycle = OneCycleLR(optimizer, max_lr=0.1, total_steps=10)
    train(model, optimizer, range(2), cycle.step)
    dense, sparse = (part.param_groups[0]["betas"][0] for part in optimizer.parts.values())
    assert dense == sparse != 0.9
    plateau = ReduceLROnPlateau(optimizer, factor=0.5, patience=0)
    rates = [group["lr"] for group in optimizer.param_groups]
    plateau.step(1.0)
    plateau.step(2.0)
    assert [part.param_groups[0]["lr"] for part in optimizer.parts.values()] == [rate / 2 for rate in rates]


def test_a_grad_scaler_unscales_both_kinds_and_skips_a_step_with_inf() -> None:
    ours, theirs = Bags(), Bags()
    optimizer, scaler = DenseSparseOptimizer(ours), torch.amp.GradScaler("cpu", init_scale=1024.0)

    def step(number: int, factor: float) -> None:
        optimizer.zero_grad()
        scaler.scale(loss_of(ours, number) * factor).backward()
        scaler.step(optimizer)
        scaler.update()

    step(0, 1.0)
    step(1, 1.0)
    train(theirs, TwoByHand(theirs), range(2))  # type: ignore[arg-type]
    assert same(ours, theirs)
    step(2, float("inf"))
    assert same(ours, theirs)
    assert scaler.get_scale() == 512.0


def lightning_run(model: Bags, folder: Any, epochs: int, ckpt: Any = None) -> Any:
    """Train with Lightning's automatic optimisation: closures, a schedule per step, checkpoints."""

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def training_step(self, seed: torch.Tensor) -> torch.Tensor:
            return loss_of(self.model, int(seed))

        def configure_optimizers(self) -> Any:
            optimizer = DenseSparseOptimizer(self.model)
            schedule = LambdaLR(optimizer, lambda step: 0.9**step)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        default_root_dir=folder,
    )
    loader = torch.utils.data.DataLoader(torch.arange(4), batch_size=1)
    trainer.fit(Module(), loader, ckpt_path=ckpt)
    return trainer


@pytest.mark.filterwarnings("ignore")
def test_lightning_trains_and_resumes_with_automatic_optimisation(tmp_path: Any) -> None:
    ours, theirs, resumed = Bags(), Bags(), Bags()
    trainer = lightning_run(ours, tmp_path, 1)
    trainer.save_checkpoint(tmp_path / "one.ckpt")
    hand = TwoByHand(theirs)
    schedules = [LambdaLR(one, lambda step: 0.9**step) for one in (hand.dense, hand.sparse)]
    train(theirs, hand, range(4), lambda: [one.step() for one in schedules])  # type: ignore[arg-type]
    assert same(ours, theirs)
    train(theirs, hand, range(4), lambda: [one.step() for one in schedules])  # type: ignore[arg-type]
    lightning_run(resumed, tmp_path, 2, tmp_path / "one.ckpt")
    assert same(resumed, theirs)


# --- added groups


def test_added_parameters_go_to_the_part_of_their_kind_and_keep_schedules() -> None:
    model, more = Bags(), nn.Linear(WIDTH, WIDTH)
    optimizer = DenseSparseOptimizer(model)
    optimizer.add_param_group({"params": more.parameters(), "lr": 0.5})
    assert [len(group["params"]) for group in optimizer.param_groups] == [4, 2, 2]
    assert [len(part.param_groups) for part in optimizer.parts.values()] == [2, 1]
    loss_of(model, 0).backward()
    more(torch.ones(WIDTH)).sum().backward()
    before = more.weight.detach().clone()
    optimizer.step()
    torch.testing.assert_close(before - more.weight, torch.full_like(before, 0.5))
    again = DenseSparseOptimizer(model)
    again.add_param_group({"params": list(more.parameters())})
    again.load_state_dict(optimizer.state_dict())
    assert [group["lr"] for group in again.param_groups] == [1e-3, 1e-3, 0.5]
    assert again.parts["dense"].param_groups[1] is again.param_groups[2]


def test_an_added_group_of_both_kinds_or_of_none_is_refused() -> None:
    model = nn.Embedding(3, 2, sparse=True)
    optimizer = DenseSparseOptimizer(model)
    for params, kinds in (([model.weight, nn.Parameter(torch.ones(1))], "dense, sparse"), ([], "none")):
        with pytest.raises(
            OptionError, match=f"param_group: found parameters of the kinds: {kinds}; expected one kind"
        ):
            optimizer.add_param_group({"params": params})
    with pytest.raises(ValueError, match="more than one parameter group"):
        optimizer.add_param_group({"params": model.weight})
    assert [len(optimizer.param_groups), len(optimizer.parts["sparse"].param_groups)] == [1, 1]


# --- bad input


def test_parameters_without_gradients_are_left_as_they_are() -> None:
    model = Bags()
    optimizer = DenseSparseOptimizer(model)
    optimizer.step()
    model.words.weight.requires_grad_(False)
    train(model, optimizer, range(2))
    assert torch.equal(model.words.weight, Bags().words.weight)
    assert not torch.equal(model.pairs.weight, Bags().pairs.weight)
    assert model.words.weight not in optimizer.state


def test_an_empty_batch_changes_nothing_of_a_table() -> None:
    table = nn.Embedding(3, 2, sparse=True)
    optimizer = DenseSparseOptimizer(table)
    before = table.weight.detach().clone()
    table(torch.zeros(0, dtype=torch.long)).sum().backward()
    optimizer.step()
    assert torch.equal(table.weight, before)


def test_a_gradient_of_the_other_kind_is_refused_before_anything_changes() -> None:
    model = Bags()
    optimizer = DenseSparseOptimizer(model)
    loss_of(model, 0).backward()
    model.words.weight.grad = model.words.weight.grad.to_dense()
    with pytest.raises(GradientError, match=r"^words.weight: found a dense gradient, expected a sparse one"):
        optimizer.step()
    loss_of(model, 0).backward()
    model.words.weight.grad = model.words.weight.grad.to_sparse(1)
    model.out.weight.grad = model.out.weight.grad.to_sparse(1)
    with pytest.raises(RuntimeError, match=r"^out.weight: found a sparse gradient, expected a dense one"):
        optimizer.step()
    assert same(model, Bags())
    assert not optimizer.state


def test_a_model_with_one_kind_of_gradients_needs_one_part() -> None:
    with pytest.warns(SeqLossWarning, match="no parameter gets sparse gradients, so that only `dense` is used"):
        assert list(DenseSparseOptimizer(nn.Linear(2, 2)).parts) == ["dense"]
    assert list(DenseSparseOptimizer(nn.Embedding(3, 2, sparse=True)).parts) == ["sparse"]


def other_sizes() -> dict[str, Any]:
    model = Bags()
    model.words = nn.Embedding(WORDS + 1, WIDTH, sparse=True)
    optimizer = DenseSparseOptimizer(model)
    train(model, optimizer, range(1))
    return optimizer.state_dict()


def other_parts() -> dict[str, Any]:
    model = Bags()
    optimizer = DenseSparseOptimizer(model, dense=Adam)
    train(model, optimizer, range(1))
    return optimizer.state_dict()


@pytest.mark.parametrize(
    ("make", "dense", "message"),
    [
        (dict, Adam, "expected the keys 'state' and 'param_groups', found nothing"),
        (
            lambda: SGD(Bags().parameters()).state_dict(),
            Adam,
            r"found groups of \[6\] parameters, expected groups of \[4, 2\]",
        ),
        (other_sizes, Adam, r"words.weight: found shape \(51, 4\), expected \(50, 4\), that of the parameter"),
        (other_parts, SMORMS3, "parameter 0 of group 0 has the entries .*; load a state of SMORMS3"),
    ],
)
def test_a_state_of_another_model_is_refused_before_anything_changes(make: Any, dense: Any, message: str) -> None:
    model, expected = Bags(), Bags()
    optimizer = DenseSparseOptimizer(model, dense=dense)
    train(model, optimizer, range(2))
    saved = make()
    with pytest.raises(ShapeError, match=message):
        optimizer.load_state_dict(saved)
    train(model, optimizer, range(2, 4))
    train(expected, DenseSparseOptimizer(expected, dense=dense), range(4))
    assert same(model, expected)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"model": [nn.Parameter(torch.ones(1))]}, DTypeError, "model: found list, expected a torch.nn.Module"),
        ({"model": nn.Tanh()}, OptionError, "model: Tanh has no parameters, expected at least one"),
        ({"dense": torch.optim.LBFGS}, OptionError, "dense: LBFGS calls its closure several times"),
        ({"sparse": list}, OptionError, "sparse: found list, expected an optimiser's class"),
        ({"dense": lambda params: Adam(params[1:])}, OptionError, "dense: the optimiser must have the parameters"),
        ({"probe": lambda: torch.ones(2)}, DTypeError, r"probe: found a tensor of shape \(2,\), expected a loss"),
        ({"probe": lambda: 1.0}, DTypeError, "probe: found float, expected a loss"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments: dict[str, Any], kind: Any, message: str) -> None:
    with pytest.raises(kind, match=message):
        DenseSparseOptimizer(**{"model": Bags(), **arguments})
