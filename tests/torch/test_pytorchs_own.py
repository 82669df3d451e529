"""PyTorch's own tests of its CTC loss, with the calls and checks that it installs, pass against the drop-ins."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import hypothesis
import pytest
import torch
from torch.testing import assert_close

from .pytorch_samples import FUNCTIONS, MODULES, module_inputs, operator, operator_samples

TORCH = torch.nn.functional.ctc_loss
KINDS = [torch.float32, torch.float64]
QUICK = [("functional", 5), ("patched", 0)]
"""Lengths as tensors, and as lists."""
CASES = [
    pytest.param(name, index, marks=[] if (name, index) in QUICK else pytest.mark.long)
    for name in FUNCTIONS
    for index in range(12)
]

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated:DeprecationWarning")


def answer(loss: Any, log_probs: torch.Tensor, *args: Any, **options: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss, and the gradient for an uneven upstream gradient."""
    x = log_probs.detach().requires_grad_()
    found = loss(x, *args, **options)
    upstream = torch.linspace(0.5, 2.0, found.numel(), dtype=torch.float64).reshape(found.shape)
    return found.detach(), torch.autograd.grad(found, x, upstream.to(found))[0]


@pytest.mark.parametrize("kind", KINDS)
def test_the_operators_samples_have_torchs_value_and_gradient(kind: torch.dtype) -> None:
    for sample in operator_samples(kind):
        expected = answer(TORCH, sample.input.double(), *sample.args, **sample.kwargs)
        for loss in FUNCTIONS.values():
            found = answer(loss, sample.input, *sample.args, **sample.kwargs)
            assert [x.dtype for x in found] == [kind, kind]
            assert_close(found, tuple(x.to(kind) for x in expected))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_other_layouts_of_the_same_numbers_give_the_same_bits(name: str) -> None:
    for sample in operator_samples(torch.float64):
        expected = answer(FUNCTIONS[name], sample.input, *sample.args, **sample.kwargs)
        other = sample.noncontiguous()
        assert not other.input.is_contiguous()
        negated = torch._neg_view(-sample.input.detach())
        targets = torch._neg_view(-sample.args[0])
        for found in (
            answer(FUNCTIONS[name], other.input, *other.args, **other.kwargs),
            answer(FUNCTIONS[name], negated, targets, *sample.args[1:], **sample.kwargs),
        ):
            assert all(map(torch.equal, found, expected))


@pytest.mark.parametrize(("name", "index"), CASES)
def test_derivatives_pass_gradcheck_behind_a_log_softmax(name: str, index: int) -> None:
    sample = operator_samples(torch.float64)[index]

    def loss(x: torch.Tensor) -> torch.Tensor:
        return operator().gradcheck_wrapper(FUNCTIONS[name], x, *sample.args, **sample.kwargs)

    assert torch.autograd.gradcheck(loss, sample.input, fast_mode=True, check_forward_ad=True, check_batched_grad=True)
    # torch's own has neither forward mode nor a second derivative
    assert torch.autograd.gradgradcheck(loss, sample.input, fast_mode=True, check_fwd_over_rev=True)


def close(found: Any, expected: Any, **_: Any) -> None:
    assert_close(found, expected)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_wrapped_tensors_and_modes_see_one_operator(name: str) -> None:
    operator()
    from torch.testing._internal.composite_compliance import check_all_permutations, check_with_mode

    for sample in operator_samples(torch.float32)[::5]:
        for check in (check_with_mode, check_all_permutations):
            check(FUNCTIONS[name], (sample.input, *sample.args), sample.kwargs, close)


@pytest.mark.parametrize(("name", "index"), CASES)
def test_wrapped_tensors_have_derivatives_in_reverse_and_forward_mode(name: str, index: int) -> None:
    operator()
    from torch.testing._internal.composite_compliance import check_backward_formula, check_forward_ad_formula

    sample, wrapper = operator_samples(torch.float32)[index], operator().gradcheck_wrapper
    args = (sample.input, *sample.args)
    check_backward_formula(FUNCTIONS[name], args, sample.kwargs, None, wrapper, close)
    check_forward_ad_formula(FUNCTIONS[name], args, sample.kwargs, wrapper, close)


@pytest.mark.parametrize(("name", "index"), CASES)
def test_fake_tensors_make_fx_and_aot_autograd_pass_its_checks(name: str, index: int) -> None:
    operator()
    from torch.testing._internal import optests

    sample, loss = operator_samples(torch.float32)[index], FUNCTIONS[name]
    args = (sample.input, *sample.args)
    optests.fake_check(loss, args, sample.kwargs)
    for mode in ("real", "fake", "symbolic"):
        optests.make_fx_check(loss, args, sample.kwargs, mode)
    for dynamic in (False, True):
        optests.aot_autograd_check(loss, args, sample.kwargs, dynamic)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_meta_tensors_give_the_form_of_the_real_loss(name: str) -> None:
    for kind in KINDS:
        for sample in operator_samples(kind):
            expected = FUNCTIONS[name](sample.input, *sample.args, **sample.kwargs)
            found = FUNCTIONS[name](sample.input.to("meta"), *sample.args, **sample.kwargs)
            assert found.device.type == "meta"
            assert (found.shape, found.dtype, found.stride()) == (expected.shape, expected.dtype, expected.stride())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_vmap_over_each_tensor_is_the_loop(name: str) -> None:
    for sample in operator_samples(torch.float64)[1:12:4]:  # with lengths as tensors
        args = (sample.input.detach(), *sample.args)

        def loss(*args: Any, options: Any = sample.kwargs) -> torch.Tensor:
            return FUNCTIONS[name](*args, **options)

        for places in ((0, None, None, None), (3, None, None, None), (None, 0, None, 0), (0, 0, 0, 0)):
            batch = [x if d is None else torch.stack([x, x.flip(0)], d) for x, d in zip(args, places, strict=True)]
            rows = ([x if d is None else x.select(d, i) for x, d in zip(batch, places, strict=True)] for i in range(2))
            assert_close(torch.vmap(loss, places)(*batch), torch.stack([loss(*row) for row in rows]))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_floating_type_of_torchs_is_taken_and_the_half_types_too(name: str) -> None:
    sample = operator_samples(torch.float32)[0]
    for kind in {*operator().dtypes, torch.float16, torch.bfloat16}:
        _, gradient = answer(FUNCTIONS[name], sample.input.to(kind), *sample.args)
        assert gradient.dtype == kind


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_functional_call_of_its_jit_tests_has_torchs_value_and_gradient(name: str) -> None:
    operator()
    from torch.testing._internal.jit_metaprogramming_utils import get_nn_functional_tests

    (call,) = (test for test in get_nn_functional_tests() if test[0] == "ctc_loss")
    found, expected = (answer(loss, call[1], *call[2]) for loss in (FUNCTIONS[name], TORCH))
    assert_close(found, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_the_modules_inputs_have_its_references_value(kind: torch.dtype) -> None:
    for given in module_inputs(kind):
        args = given.forward_input.args
        expected = given.reference_fn(torch.nn.CTCLoss(), *args)
        for name in MODULES:
            loss = built(name, given)
            assert_close(loss(*args), expected)
            assert torch.equal(loss.eval()(*args), loss.train()(*args))


def built(name: str, given: Any) -> torch.nn.Module:
    return MODULES[name](*given.constructor_input.args, **given.constructor_input.kwargs)


def test_the_modules_inputs_have_torchs_gradient_in_every_layout() -> None:
    for given in module_inputs(torch.float64)[::3]:
        log_probs, *rest = given.forward_input.args
        peer = torch.nn.CTCLoss(**given.constructor_input.kwargs)
        expected = answer(peer, log_probs, *rest)
        apart = torch.stack([log_probs, log_probs + 1], 3)[..., 0]
        assert not apart.is_contiguous()
        for name in MODULES:
            assert_close(answer(built(name, given), log_probs, *rest), expected)
            assert_close(answer(built(name, given), apart, *rest), expected)


@pytest.mark.parametrize("name", MODULES)
def test_the_module_has_a_repr_and_survives_copies_pickles_and_moves(name: str) -> None:
    for given in module_inputs(torch.float32)[::4]:
        loss, args = built(name, given), given.forward_input.args
        expected = loss(*args)
        assert repr(loss).startswith(type(loss).__name__)
        for twin in (
            copy.copy(loss), copy.deepcopy(loss), pickle.loads(pickle.dumps(loss)),
            built(name, given).to("cpu").double().half().share_memory(),
        ):  # fmt: skip
            assert torch.equal(twin(*args), expected)
        assert not [*loss.parameters(), *loss.buffers(), *loss.state_dict()]


def test_its_generators_leave_the_settings_of_hypothesis_and_of_the_backends() -> None:
    operator()
    module_inputs(torch.float32)
    assert hypothesis.settings.get_current_profile_name() in {"default", "ci"}
    assert not torch.backends.flags_frozen()
