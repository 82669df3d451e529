"""SMORMS3 equals its rule in NumPy, and treats gradients, types and states as PyTorch's optimisers do."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from seqloss.errors import GradientError, OptionError, ShapeError
from seqloss.torch.optim import SMORMS3

WAYS = pytest.mark.parametrize("foreach", [False, True])


class Rule:
    """S. Funk's description, line by line, in NumPy."""

    def __init__(self, shape: Sequence[int], kind: type = np.float64) -> None:
        self.mem, self.g, self.g2 = np.ones(shape, kind), np.zeros(shape, kind), np.zeros(shape, kind)

    def change(self, grad: np.ndarray, lr: float = 2.5e-3, eps: float = 1e-16) -> np.ndarray:
        r = 1 / (self.mem + 1)
        self.g = (1 - r) * self.g + r * grad
        self.g2 = (1 - r) * self.g2 + r * grad**2
        self.mem = 1 + self.mem * (1 - self.g * self.g / (self.g2 + eps))
        return grad * np.minimum(lr, self.g * self.g / (self.g2 + eps)) / (np.sqrt(self.g2) + eps)


def noisy_gradients(steps: int, *shape: int) -> np.ndarray:
    """Gradients that agree in some weights and are noise in others, of sizes from 1e-9 to 1e3."""
    rng = np.random.default_rng(0)
    size = 10.0 ** rng.uniform(-9, 3, shape)
    return size * (rng.uniform(0, 2, shape) + rng.normal(size=(steps, *shape)))


def run(optimizer: SMORMS3, params: Sequence[Tensor], gradients: Sequence[Any]) -> None:
    for gradient in gradients:
        for param in params:
            param.grad = torch.as_tensor(gradient).to(param.dtype)
        optimizer.step()


def weight(*shape: int, kind: torch.dtype = torch.float64) -> nn.Parameter:
    return nn.Parameter(torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=kind))


# --- the rule


@WAYS
def test_over_1000_steps_it_equals_the_rule_in_numpy(foreach: bool) -> None:
    """Each gradient depends on the weights: a difference would grow."""
    noise = noisy_gradients(1000, 4, 5)
    ours, rule = weight(4, 5), Rule((4, 5))
    theirs = ours.detach().numpy().copy()
    optimizer = SMORMS3([ours], foreach=foreach)
    for step in range(1000):
        ours.grad = ours.detach() + torch.from_numpy(noise[step])
        optimizer.step()
        theirs -= rule.change(theirs + noise[step])
    assert np.abs(theirs - weight(4, 5).detach().numpy()).max() > 0.5
    np.testing.assert_allclose(ours.detach().numpy(), theirs, rtol=1e-10)
    state = optimizer.state[ours]
    for key, expected in (("average", rule.g), ("average_square", rule.g2), ("memory", rule.mem)):
        np.testing.assert_allclose(state[key].numpy(), expected, rtol=1e-10)


@WAYS
def test_options_change_the_rule(foreach: bool) -> None:
    gradients = noisy_gradients(50, 3)
    ours, rule = weight(3), Rule((3,))
    theirs = ours.detach().numpy().copy()
    run(SMORMS3([ours], lr=0.3, eps=1e-3, weight_decay=0.1, foreach=foreach), [ours], gradients)
    for gradient in gradients:
        theirs -= rule.change(gradient, lr=0.3, eps=1e-3) + 0.3 * 0.1 * theirs
    np.testing.assert_allclose(ours.detach().numpy(), theirs, rtol=1e-12)


@WAYS
@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_types_have_a_float32_state_and_are_rounded_once(foreach: bool, kind: torch.dtype) -> None:
    """In float16, 1e-16 and the square of 1e-5 would be 0, and the first step 0 / 0."""
    gradients = torch.from_numpy(noisy_gradients(100, 8) * 1e-2).to(kind)
    gradients[:, 0] = 0
    gradients[:, 1] = 1e-5
    ours, rule = weight(8, kind=kind), Rule((8,), np.float32)
    expected = ours.detach().clone()
    optimizer = SMORMS3([ours], weight_decay=0.01, foreach=foreach)
    run(optimizer, [ours], gradients)
    assert {tensor.dtype for tensor in optimizer.state[ours].values()} == {torch.float32}
    for gradient in gradients.float().numpy():
        change = torch.from_numpy(rule.change(gradient)) + 2.5e-3 * 0.01 * expected.float()
        expected = (expected.float() - change).to(kind)
    torch.testing.assert_close(ours.detach(), expected, rtol=torch.finfo(kind).eps, atol=0)
    torch.testing.assert_close(optimizer.state[ours]["memory"], torch.from_numpy(rule.mem), rtol=1e-3, atol=0)


@WAYS
def test_a_complex_weight_is_two_real_ones(foreach: bool) -> None:
    ours = weight(3, kind=torch.complex128)
    parts = torch.view_as_real(ours.detach()).clone().requires_grad_()
    gradients = noisy_gradients(30, 3, 2)
    one, other = (SMORMS3([param], weight_decay=0.1, foreach=foreach) for param in (ours, parts))
    run(one, [ours], torch.view_as_complex(torch.from_numpy(gradients)))
    run(other, [parts], gradients)
    assert torch.equal(torch.view_as_real(ours.detach()), parts.detach())
    for key, state in one.state[ours].items():
        assert torch.equal(torch.view_as_real(state), other.state[parts][key])


@WAYS
def test_maximize_climbs_as_minus_the_gradient_descends(foreach: bool) -> None:
    gradients = noisy_gradients(30, 4)
    ours, theirs = weight(4), weight(4)
    run(SMORMS3([ours], maximize=True, foreach=foreach), [ours], gradients)
    run(SMORMS3([theirs], foreach=foreach), [theirs], -gradients)
    assert torch.equal(ours, theirs)
    assert not torch.equal(ours, weight(4))


def test_tensors_together_are_tensors_each() -> None:
    """Of several types and sizes, in groups with own options, some without a gradient."""

    def train(foreach: bool) -> list[Tensor]:
        kinds = (torch.float32, torch.float64, torch.float16, torch.complex64, torch.float32)
        params = [weight(number + 1, kind=kind) for number, kind in enumerate(kinds)]
        groups = [{"params": params[:3], "lr": 0.1}, {"params": params[3:], "weight_decay": 0.1, "maximize": True}]
        optimizer = SMORMS3(groups, foreach=foreach)
        for step in range(20):
            for param in params[:4]:
                generator = torch.Generator().manual_seed(step)
                param.grad = torch.randn(param.shape, dtype=param.dtype, generator=generator)
            optimizer.step()
        return params

    for one, other in zip(train(False), train(True), strict=True):
        assert torch.equal(one, other)


# --- how it is called


def test_a_group_has_its_own_options() -> None:
    slow, fast = weight(2), weight(2)
    run(SMORMS3([{"params": [slow], "lr": 0.0}, {"params": [fast]}]), [slow, fast], noisy_gradients(3, 2))
    assert torch.equal(slow, weight(2))
    assert not torch.equal(fast, weight(2))


def test_a_closure_computes_the_gradient_and_its_loss_is_returned() -> None:
    param = weight(3)
    optimizer, calls = SMORMS3([param]), []

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = param.square().sum()
        loss.backward()
        calls.append(loss)
        return loss

    before = param.detach().clone()
    with torch.no_grad():
        assert optimizer.step(closure) is calls[0]
    assert len(calls) == 1
    assert (param.abs() < before.abs()).all()


@WAYS
def test_a_step_leaves_gradients_and_weights_without_one_alone(foreach: bool) -> None:
    moved, still = weight(3), weight(3)
    moved.grad = torch.ones(3, dtype=torch.float64)
    optimizer = SMORMS3([moved, still], foreach=foreach, maximize=True, weight_decay=0.5)
    optimizer.step()
    assert torch.equal(moved.grad, torch.ones(3, dtype=torch.float64))
    assert torch.equal(still, weight(3))
    assert still not in optimizer.state
    optimizer.zero_grad()
    after = moved.detach().clone()
    optimizer.step()
    assert torch.equal(moved, after)


@WAYS
def test_a_weight_of_no_elements_is_fine(foreach: bool) -> None:
    param = weight(0, 3)
    run(SMORMS3([param], foreach=foreach), [param], np.zeros((2, 0, 3)))
    assert param.shape == (0, 3)


@WAYS
def test_a_nan_stays_in_its_weight(foreach: bool) -> None:
    params = [weight(2), weight(2)]
    run(SMORMS3(params, foreach=foreach), params, [[np.nan, 1.0]])
    assert all(param.isnan().tolist() == [True, False] for param in params)


def test_a_learning_rate_may_be_a_tensor_and_follow_a_schedule() -> None:
    by_tensor, by_number = weight(2), weight(2)
    for param, lr in ((by_tensor, torch.tensor(0.5, dtype=torch.float64)), (by_number, 0.5)):
        optimizer = SMORMS3([param], lr=lr)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        for gradient in noisy_gradients(4, 2):
            run(optimizer, [param], [gradient])
            schedule.step()
        assert float(optimizer.param_groups[0]["lr"]) == 0.5**5
    assert torch.equal(by_tensor, by_number)


# --- the state


def trained(kind: torch.dtype, steps: int = 10) -> tuple[SMORMS3, nn.Parameter]:
    param = weight(4, kind=kind)
    optimizer = SMORMS3([param], lr=0.1)
    run(optimizer, [param], noisy_gradients(steps, 4))
    return optimizer, param


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64])
def test_a_loaded_state_continues_with_the_same_bits(kind: torch.dtype) -> None:
    optimizer, param = trained(kind)
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    copied = nn.Parameter(param.detach().clone())
    loaded = SMORMS3([copied])
    loaded.load_state_dict(torch.load(file))
    for one, other in ((optimizer, param), (loaded, copied)):
        run(one, [other], noisy_gradients(20, 4)[10:])
    assert torch.equal(param, copied)


def test_a_float32_state_is_not_rounded_in_a_half_model() -> None:
    source, _ = trained(torch.float32)
    half = weight(4, kind=torch.float16)
    target = SMORMS3([half])
    target.load_state_dict(source.state_dict())
    for key, state in source.state_dict()["state"][0].items():
        assert target.state[half][key].dtype == torch.float32
        assert torch.equal(target.state[half][key], state)


def test_a_state_is_cast_to_that_of_a_wider_model_and_shares_no_memory() -> None:
    source, _ = trained(torch.float32)
    wide, same = weight(4), weight(4, kind=torch.float32)
    saved = source.state_dict()
    before = copy.deepcopy(saved["state"][0])
    for target in (wide, same):
        optimizer = SMORMS3([target])
        optimizer.load_state_dict(saved)
        assert {state.dtype for state in optimizer.state[target].values()} == {target.dtype}
        run(optimizer, [target], noisy_gradients(3, 4))
    assert all(torch.equal(before[key], state) for key, state in saved["state"][0].items())


def test_hooks_of_a_user_see_what_is_loaded() -> None:
    source, _ = trained(torch.float32)
    half = weight(4, kind=torch.float16)
    target, seen = SMORMS3([half]), []
    target.register_load_state_dict_pre_hook(lambda _, saved: {**saved, "state": {}})
    target.register_load_state_dict_post_hook(lambda optimizer: seen.append(dict(optimizer.state)))
    target.load_state_dict(source.state_dict())
    assert seen == [{}]


@pytest.mark.parametrize("copy_of", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_continues_with_the_same_bits(copy_of: Any) -> None:
    optimizer, param = trained(torch.float32)
    other, copied = copy_of((optimizer, param))
    for one, own in ((optimizer, param), (other, copied)):
        run(one, [own], noisy_gradients(5, 4))
    assert torch.equal(param, copied)
    assert not torch.equal(param, weight(4, kind=torch.float32))


def adam_state() -> dict[str, Any]:
    param = weight(4)
    optimizer = torch.optim.Adam([param])
    param.grad = torch.ones_like(param)
    optimizer.step()
    return optimizer.state_dict()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda saved: {"state": {}}, "state_dict: expected the keys 'state' and 'param_groups', found 'state'"),
        (
            lambda saved: {**saved, "param_groups": []},
            r"found groups of \[\] parameters, expected groups of \[1\]; load",
        ),
        (
            lambda saved: {**saved, "param_groups": [{**saved["param_groups"][0], "params": [0, 1]}]},
            r"found groups of \[2\] parameters, expected groups of \[1\]",
        ),
        (
            lambda saved: {**saved, "state": {0: {key: state[:3] for key, state in saved["state"][0].items()}}},
            r"parameter 0 of group 0, average: found shape \(3,\), expected \(4,\), that of the parameter; load",
        ),
        (
            lambda saved: adam_state(),
            "parameter 0 of group 0 has the entries .*exp_avg.*, expected average, average_sq",
        ),
    ],
)
def test_a_state_of_another_model_or_optimiser_is_refused_before_anything_changes(change: Any, message: str) -> None:
    optimizer, param = trained(torch.float64)
    saved = copy.deepcopy(optimizer.state_dict())
    with pytest.raises(ShapeError, match=message):
        optimizer.load_state_dict(change(optimizer.state_dict()))
    assert all(torch.equal(saved["state"][0][key], state) for key, state in optimizer.state[param].items())
    assert saved["param_groups"] == optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict(saved)


# --- refusals


@WAYS
def test_a_sparse_gradient_is_refused_before_anything_changes(foreach: bool) -> None:
    dense, sparse = weight(2, 2), weight(2, 2)
    dense.grad = torch.ones(2, 2, dtype=torch.float64)
    sparse.grad = dense.grad.to_sparse()
    optimizer = SMORMS3([{"params": [("dense", dense)]}, {"params": [("words", sparse)]}], foreach=foreach)
    for kind in (GradientError, RuntimeError, ValueError):
        with pytest.raises(kind, match=r"parameter 0 of group 1 \(words\), of shape \(2, 2\): found a sparse gradient"):
            optimizer.step()
    assert torch.equal(dense, weight(2, 2))
    assert not optimizer.state


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -1e-3}, "lr of parameter group 0: found -0.001, expected a finite number at least 0"),
        ({"lr": float("nan")}, "lr of parameter group 0: found nan"),
        ({"lr": torch.ones(2)}, "lr: found a tensor of 2 elements, expected a number"),
        ({"eps": 0.0}, "eps of parameter group 0: found 0.0, expected a finite number above 0"),
        ({"eps": float("inf")}, "eps of parameter group 0: found inf"),
        ({"weight_decay": -1.0}, "weight_decay of parameter group 0: found -1.0"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        SMORMS3([weight(1)], **options)
    with pytest.raises(OptionError, match=message):
        SMORMS3([{"params": [weight(1)], **options}])


def test_no_parameters_are_refused_as_in_pytorch() -> None:
    with pytest.raises(ValueError, match="empty parameter list"):
        SMORMS3([])
