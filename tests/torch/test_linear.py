"""`linear_ctc_loss` is `ctc_loss` of a linear layer, in any chunks, within its bound of memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from seqloss.errors import DTypeError, InfeasibleError, LabelError, OptionError, ShapeError
from seqloss.torch import ctc_loss, linear_ctc_loss

BATCH, TIME, FEATURES, CLASSES = 5, 12, 6, 40
FRAMES, LABELS = torch.tensor([12, 7, 3, 12, 0]), torch.tensor([3, 4, 4, 0, 0])  # row 2 has no path
ONE_ROW, ONE_FRAME = TIME * CLASSES * 16, 1
LIMITS = {"all rows": 2**30, "a row or two": ONE_ROW, "some frames": ONE_ROW // 4, "a frame": ONE_FRAME}


def problem(kind: torch.dtype = torch.float64) -> tuple[list[torch.Tensor], torch.Tensor]:
    rng = np.random.default_rng(0)
    shapes = ((BATCH, TIME, FEATURES), (CLASSES, FEATURES), (CLASSES,))
    layer = [torch.from_numpy(rng.normal(size=shape)).to(kind).requires_grad_() for shape in shapes]
    return layer, torch.from_numpy(rng.integers(0, CLASSES - 1, (BATCH, 4)))


def plain(layer: list[torch.Tensor], targets: torch.Tensor, **options: Any) -> torch.Tensor:
    return ctc_loss(torch.nn.functional.linear(*layer), targets, FRAMES, LABELS, blank=-1, **options)


def chunked(layer: list[torch.Tensor], targets: torch.Tensor, **options: Any) -> torch.Tensor:
    return linear_ctc_loss(*layer, targets, FRAMES, LABELS, blank=-1, **options)


def assert_same(limit: int, kind: torch.dtype = torch.float64, near: float = 1e-12, **options: Any) -> None:
    found, expected = problem(kind), problem(kind)
    one, other = chunked(*found, memory_limit=limit, **options), plain(*expected, **options)
    torch.testing.assert_close(one, other, rtol=near, atol=near)
    upstream = torch.tensor([1.0, -2.0, 5.0, 0.5, 3.0], dtype=one.dtype) if one.ndim else torch.tensor(1.5)
    one.backward(upstream.to(one.dtype))
    other.backward(upstream.to(one.dtype))
    for x, y in zip(found[0], expected[0], strict=True):
        assert x.grad.dtype == kind
        torch.testing.assert_close(x.grad, y.grad, rtol=near, atol=near)


@pytest.mark.parametrize("reduction", ["none", "sum", "mean", "batch", "labels"])
@pytest.mark.parametrize("limit", LIMITS)
def test_loss_and_gradients_are_those_of_the_layer_and_the_loss(limit: str, reduction: str) -> None:
    assert_same(LIMITS[limit], infeasible="zero", reduction=reduction)


@pytest.mark.parametrize("limit", LIMITS)
def test_a_row_without_a_path_is_inf_and_has_no_gradient(limit: str) -> None:
    assert_same(LIMITS[limit])


@pytest.mark.parametrize("limit", ["a row or two", "a frame"])
def test_float32_is_right_to_its_rounding(limit: str) -> None:
    assert_same(LIMITS[limit], torch.float32, 2e-5, infeasible="zero", reduction="sum", denominator=7.0)


@pytest.mark.parametrize("limit", ["a row or two", "a frame"])
@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16], ids=str)
def test_half_types_are_computed_in_float32(kind: torch.dtype, limit: str) -> None:
    assert_same(LIMITS[limit], kind, 4 * torch.finfo(kind).eps, infeasible="zero", reduction="mean")


def test_what_lies_past_a_rows_length_is_never_read() -> None:
    for limit in LIMITS.values():
        (hidden, weight, bias), targets = problem()
        with torch.no_grad():
            for row, used in enumerate(FRAMES):
                hidden[row, used:] = torch.nan
        loss = chunked([hidden, weight, bias], targets, memory_limit=limit, infeasible="zero", reduction="sum")
        loss.backward()
        assert torch.isfinite(loss)
        assert torch.isfinite(weight.grad).all()
        assert all(not hidden.grad[row, used:].any() for row, used in enumerate(FRAMES))


@pytest.mark.parametrize("limit", LIMITS)
def test_a_non_finite_row_has_a_non_finite_loss_and_the_others_keep_theirs(limit: str) -> None:
    layer, targets = problem()
    with torch.no_grad():
        layer[0][1, 2, 3] = torch.nan
    losses = chunked(layer, targets, memory_limit=LIMITS[limit])
    expected = plain(*problem())
    assert losses[1].isnan()
    others = [0, 2, 3, 4]
    torch.testing.assert_close(losses[others], expected[others])
    (gradient,) = torch.autograd.grad(losses[others].sum(), layer[0])
    assert torch.isfinite(gradient[others]).all()


@pytest.mark.parametrize("limit", LIMITS)
def test_an_unchecked_bad_label_makes_its_own_row_nan(limit: str) -> None:
    for label in (-1, CLASSES, CLASSES - 1):
        layer, targets = problem()
        targets[0, 1] = label
        losses = chunked(layer, targets, memory_limit=LIMITS[limit], validate=False)
        assert losses.isnan().tolist() == [True, False, False, False, False]


def test_a_frozen_layer_and_one_without_bias_are_trained_in_what_is_left() -> None:
    (hidden, weight, _), targets = problem()
    for reduction in ("none", "sum"):
        loss = chunked([hidden, weight.detach(), None], targets, infeasible="zero", reduction=reduction)  # type: ignore[list-item]
        expected = plain([hidden, weight.detach()], targets, infeasible="zero", reduction=reduction)
        torch.testing.assert_close(loss, expected)
        torch.testing.assert_close(
            torch.autograd.grad(loss.sum(), hidden)[0], torch.autograd.grad(expected.sum(), hidden)[0]
        )


def test_without_a_gradient_wanted_the_loss_is_the_same() -> None:
    layer, targets = problem()
    with torch.no_grad():
        assert torch.equal(chunked(layer, targets), chunked(*problem()).detach())


def test_a_backward_that_is_run_twice_gives_the_same_gradients() -> None:
    layer, targets = problem()
    for reduction in ("none", "mean"):
        loss = chunked(layer, targets, infeasible="zero", reduction=reduction).sum()
        first = torch.autograd.grad(loss, layer, retain_graph=True)
        second = torch.autograd.grad(loss, layer)
        assert all(map(torch.equal, first, second))


def test_a_second_derivative_and_forward_mode_and_transforms_raise() -> None:
    for reduction in ("none", "sum"):
        layer, targets = problem()
        total = chunked(layer, targets, infeasible="zero", reduction=reduction).sum()
        gradients = torch.autograd.grad(total, layer, create_graph=True)
        for gradient in gradients:
            for x in layer:
                with pytest.raises(RuntimeError, match=r"linear_ctc_loss has no second derivative: .* use ctc_loss"):
                    torch.autograd.grad(gradient.sum() + x.sum(), x, retain_graph=True)
    layer, targets = problem()
    for transform in (torch.func.grad, torch.func.vmap):
        with pytest.raises(RuntimeError, match="linear_ctc_loss works in backward alone; use ctc_loss"):
            transform(lambda bias: chunked([*layer[:2], bias], targets).sum())(layer[2].detach())
    with torch.autograd.forward_ad.dual_level():
        bias = torch.autograd.forward_ad.make_dual(layer[2].detach(), torch.ones(CLASSES, dtype=torch.float64))
        with pytest.raises(RuntimeError, match="linear_ctc_loss works in backward alone"):
            chunked([*layer[:2], bias], targets)


@pytest.mark.parametrize("reduction", ["none", "sum"])
@pytest.mark.parametrize("detached", range(3), ids=["hidden", "weight", "bias"])
def test_an_argument_detached_in_place_after_the_loss_forbids_create_graph_alone(detached: int, reduction: str) -> None:
    layer, targets = problem()
    given = [x.detach() for x in layer]
    given[detached] = layer[detached] * 1
    total = chunked(given, targets, infeasible="zero", reduction=reduction).sum()
    given[detached].detach_()
    torch.autograd.grad(total, layer[detached], retain_graph=True)
    with pytest.raises(RuntimeError, match=r"linear_ctc_loss: .* detached in place after the loss"):
        torch.autograd.grad(total, layer[detached], create_graph=True)


def test_labels_and_lengths_changed_before_backward_do_not_change_the_gradient() -> None:
    for reduction in ("none", "sum"):
        (layer, targets), (other, same) = problem(), problem()
        expected = chunked(other, same, infeasible="zero", reduction=reduction)
        loss = chunked(layer, targets, infeasible="zero", reduction=reduction)
        targets.fill_(1)
        loss.sum().backward()
        expected.sum().backward()
        assert all(torch.equal(x.grad, y.grad) for x, y in zip(layer, other, strict=True))


def test_an_infinite_upstream_gradient_leaves_rows_without_a_path_and_padding_at_0() -> None:
    for reduction in ("none", "sum"):
        (hidden, weight, bias), targets = problem()
        loss = chunked([hidden, weight, bias], targets, infeasible="zero", reduction=reduction)
        loss.backward(torch.full_like(loss, torch.inf))
        assert not hidden.grad[2].any()
        assert not hidden.grad[1, 7:].any()


def test_a_loss_scale_keeps_small_gradients_of_half_types() -> None:
    rng = np.random.default_rng(0)
    arrays = (rng.normal(size=(4, 20, 8)), 0.05 * rng.normal(size=(20_000, 8)))
    targets = torch.from_numpy(rng.integers(1, 20_000, (4, 8)))
    found = [torch.from_numpy(x).half().requires_grad_() for x in arrays]
    exact = [x.detach().double().requires_grad_() for x in found]
    (65536 * linear_ctc_loss(*found, None, targets, reduction="mean")).backward()
    (65536 * ctc_loss(torch.nn.functional.linear(*exact), targets, reduction="mean")).backward()
    for x, y in zip(found, exact, strict=True):
        assert (x.grad - y.grad).norm() < 2e-3 * y.grad.norm()


def test_under_autocast_the_layer_is_computed_in_its_type() -> None:
    (hidden, weight, bias), targets = problem(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        found = chunked([hidden, weight, bias], targets, infeasible="zero", reduction="sum")
        mixed = chunked([hidden.bfloat16(), weight, bias], targets, infeasible="zero", reduction="sum")
        expected = plain([hidden, weight, bias], targets, infeasible="zero", reduction="sum")
    assert torch.equal(found, expected)
    assert torch.equal(mixed, expected)
    torch.testing.assert_close(
        *(torch.autograd.grad(loss, weight)[0] for loss in (found, expected)), rtol=0.02, atol=0.01
    )


@pytest.mark.parametrize("limit", LIMITS)
def test_another_default_device_changes_nothing(limit: str) -> None:
    expected = chunked(*problem(), memory_limit=LIMITS[limit])
    layer, targets = problem()
    with torch.device("meta"):
        assert torch.equal(chunked(layer, targets, memory_limit=LIMITS[limit]), expected)


def test_a_layer_without_features_has_the_loss_of_its_bias() -> None:
    layer = [torch.zeros(BATCH, TIME, 0), torch.zeros(CLASSES, 0), torch.zeros(CLASSES)]
    _, targets = problem()
    torch.testing.assert_close(chunked(layer, targets), plain(layer, targets))


def test_a_layer_on_another_device_and_a_batch_of_gradients_are_refused() -> None:
    layer, targets = problem()
    with pytest.raises(RuntimeError, match="weight: found on meta, expected on cpu, where hidden is"):
        chunked([layer[0], layer[1].to("meta"), layer[2]], targets)
    losses = chunked(layer, targets)
    with pytest.raises(RuntimeError, match="linear_ctc_loss works in plain backward alone"):
        torch.autograd.grad(losses, layer, torch.eye(BATCH, dtype=torch.float64), is_grads_batched=True)


BAD: dict[str, tuple[type[Exception], str, dict[str, Any]]] = {
    "features": (ShapeError, r"weight: expected shape \(classes, features\), with the 6 features", {"weight": (40, 5)}),
    "classes": (ShapeError, r"bias: expected shape \(40,\), one for each class, found \(39,\)", {"bias": (39,)}),
    "rank": (ShapeError, r"hidden: expected shape \(batch, time, features\)", {"hidden": (12, 6)}),
}


@pytest.mark.parametrize("name", BAD)
def test_a_wrong_shape_is_named(name: str) -> None:
    error, words, changed = BAD[name]
    layer, targets = problem()
    given = dict(zip(("hidden", "weight", "bias"), layer, strict=True))
    given |= {name: torch.zeros(shape, dtype=torch.float64) for name, shape in changed.items()}
    with pytest.raises(error, match=words):
        chunked(list(given.values()), targets)


def test_bad_values_are_named() -> None:
    layer, targets = problem()
    with pytest.raises(LabelError, match=r"targets\[0, 1\]: found label 40"):
        chunked(layer, targets.index_put((torch.tensor(0), torch.tensor(1)), torch.tensor(40)))
    for limit in LIMITS.values():
        with pytest.raises(InfeasibleError, match="row 2: no path fits"):
            chunked(layer, targets, infeasible="raise", memory_limit=limit)
    with pytest.raises(DTypeError, match=r"weight: found torch.float32, expected torch.float64, the type of hidden"):
        chunked([layer[0], layer[1].float(), layer[2]], targets)
    with pytest.raises(OptionError, match="memory_limit: expected a whole number of bytes"):
        chunked(layer, targets, memory_limit=0)
