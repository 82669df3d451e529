"""`from_loss_and_grad`: any function that returns (loss, gradient), behind autograd."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from seqloss.errors import DTypeError, ShapeError
from seqloss.torch import from_loss_and_grad


def squares(x: np.ndarray, y: Any = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Half the squared distance of each row."""
    return 0.5 * ((x - y) ** 2).sum(-1), x - y


def total(x: np.ndarray) -> tuple[float, np.ndarray]:
    return float((x**3).sum()), 3 * x**2


def leaf(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    values = torch.linspace(-2, 3, int(np.prod(shape)), dtype=torch.float64)
    return values.reshape(shape).to(dtype).requires_grad_()


def test_one_loss_for_all_has_its_gradient_times_upstream() -> None:
    x = leaf(2, 3)
    loss = from_loss_and_grad(total)(x)
    assert loss.shape == ()
    (-2.5 * loss).backward()
    torch.testing.assert_close(x.grad, -2.5 * 3 * x.detach() ** 2)


@pytest.mark.parametrize("shape", [(3, 4), (3, 2, 4)])
def test_a_loss_for_each_row_has_each_row_weighed(shape: tuple[int, ...]) -> None:
    x, upstream = leaf(*shape), torch.tensor([1.0, -3.0, 0.5], dtype=torch.float64)
    loss = from_loss_and_grad(lambda x: (0.5 * (x**2).reshape(3, -1).sum(1), x))(x)
    loss.backward(upstream)
    torch.testing.assert_close(x.grad, x.detach() * upstream.reshape(3, *[1] * (len(shape) - 1)))


def test_a_loss_for_each_entry_of_two_leading_axes_is_weighed_entry_by_entry() -> None:
    x, upstream = leaf(3, 2, 4), torch.arange(6.0, dtype=torch.float64).reshape(3, 2)
    from_loss_and_grad(squares)(x).backward(upstream)
    torch.testing.assert_close(x.grad, x.detach() * upstream[:, :, None])


def test_autograd_agrees_with_finite_differences() -> None:
    assert torch.autograd.gradcheck(from_loss_and_grad(squares), (leaf(3, 4), np.ones(4)))
    assert torch.autograd.gradcheck(from_loss_and_grad(total), (leaf(3, 4),))


def test_it_works_anywhere_in_a_graph() -> None:
    weight = leaf(4, 4)
    from_loss_and_grad(squares)(torch.tanh(leaf(3, 4).detach() @ weight)).mean().backward()
    grad, weight.grad = weight.grad, None
    (0.5 * (torch.tanh(leaf(3, 4).detach() @ weight) ** 2).sum(-1)).mean().backward()
    torch.testing.assert_close(grad, weight.grad)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_loss_and_gradient_come_in_the_arguments_type(dtype: torch.dtype) -> None:
    x = leaf(2, 3, dtype=dtype)
    loss = from_loss_and_grad(lambda x: ((x**2).sum(-1).astype(np.float64), (2 * x).astype(np.float64)))(x)
    loss.sum().backward()
    assert loss.dtype == x.grad.dtype == dtype


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_types_are_computed_in_float32_and_rounded_once(dtype: torch.dtype) -> None:
    x, seen = leaf(1, 3, dtype=dtype), []

    def tiny(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        seen.append(x.dtype)
        return (x * 1.001).sum(-1), np.full_like(x, 1.001e-9)

    loss = from_loss_and_grad(tiny)(x)
    assert seen == [np.float32]
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(1.001 * x.detach().float().sum().item(), rel=1e-6)
    (2.0**20 * loss).sum().backward()
    assert x.grad.dtype == dtype
    assert (x.grad == torch.tensor(1.001e-9 * 2.0**20).to(dtype)).all()


def test_tensors_among_the_arguments_arrive_as_read_only_arrays_and_the_rest_as_it_is() -> None:
    got: dict[str, Any] = {}

    def loss(x: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        got.update(x=x, args=args, kwargs=kwargs)
        return x.sum(), np.ones_like(x)

    marker = object()
    from_loss_and_grad(loss)(
        leaf(2), torch.tensor([1, 2]), marker, [3], scale=torch.tensor(0.5, dtype=torch.bfloat16), name="n"
    )
    for array in (got["x"], got["args"][0], got["kwargs"]["scale"]):
        assert type(array) is np.ndarray
        assert not array.flags.writeable
    assert got["args"][0].tolist() == [1, 2]
    assert got["args"][1] is marker
    assert got["args"][2:] == ([3],)
    assert (got["kwargs"]["scale"].dtype, got["kwargs"]["scale"].item()) == (np.float32, 0.5)
    assert got["kwargs"]["name"] == "n"


def test_a_function_that_writes_to_its_argument_raises() -> None:
    def careless(x: np.ndarray) -> tuple[Any, Any]:
        x -= 1
        return x.sum(), x

    x = leaf(3)
    with pytest.raises(ValueError, match="read-only"):
        from_loss_and_grad(careless)(x)
    assert (x == leaf(3)).all()


def test_a_function_may_return_what_it_was_given() -> None:
    x = leaf(3)
    from_loss_and_grad(lambda x: (0.5 * (x**2).sum(), x))(x).backward()
    assert (x.grad == x.detach()).all()


def test_a_buffer_that_the_function_uses_again_does_not_change_an_earlier_gradient() -> None:
    buffer = np.zeros(2)

    def reused(x: np.ndarray) -> tuple[Any, Any]:
        buffer[:] = x
        return x.sum(), buffer

    loss_of = from_loss_and_grad(reused)
    x, y = leaf(2), leaf(2)
    first = loss_of(x)
    loss_of(y * 7)
    first.backward()
    assert (x.grad == x.detach()).all()


def test_a_function_may_return_tensors() -> None:
    x = leaf(3)
    from_loss_and_grad(lambda x: (torch.tensor(x).sum(), torch.ones(3)))(x).backward()
    assert x.grad.tolist() == [1, 1, 1]


@pytest.mark.parametrize("shape", [(3,), (4, 3), (3, 4, 1), ()])
def test_a_gradient_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"gradient: expected shape \(3, 4\), the argument's, found"):
        from_loss_and_grad(lambda x: (0.0, np.zeros(shape)))(leaf(3, 4))


@pytest.mark.parametrize("shape", [(4,), (1,), (3, 1), (3, 4, 1)])
def test_a_loss_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"loss: expected a number or one for each .* \(3, 4\), found shape"):
        from_loss_and_grad(lambda x: (np.zeros(shape), x))(leaf(3, 4))


@pytest.mark.parametrize(
    ("x", "found"), [(np.zeros(3), "ndarray"), (torch.zeros(3, dtype=torch.int64), "torch.int64"), (1.0, "float")]
)
def test_a_first_argument_that_is_no_floating_tensor_is_refused(x: Any, found: str) -> None:
    with pytest.raises(DTypeError, match=f"the first argument: expected a floating torch.Tensor, found {found}"):
        from_loss_and_grad(squares)(x)


def test_it_keeps_the_functions_name_and_words() -> None:
    loss = from_loss_and_grad(squares)
    assert (loss.__name__, loss.__doc__) == ("squares", squares.__doc__)


def test_without_a_gradient_wanted_the_loss_is_the_same() -> None:
    x = leaf(2, 3)
    loss = from_loss_and_grad(squares)(x.detach())
    assert not loss.requires_grad
    assert (loss == from_loss_and_grad(squares)(x)).all()


def test_a_gradient_penalty_is_refused_and_does_not_count_for_nothing() -> None:
    x = leaf(2, 3)
    loss = from_loss_and_grad(squares)(x).sum()
    (grad,) = torch.autograd.grad(loss, x, create_graph=True)
    with pytest.raises(RuntimeError, match="squares has no second derivative"):
        (loss + grad.square().sum()).backward()


def test_a_vectorized_jacobian_is_the_one_row_by_row() -> None:
    for function in (squares, total):
        loss = from_loss_and_grad(function)
        expected = torch.autograd.functional.jacobian(loss, leaf(3, 4))
        assert torch.equal(torch.autograd.functional.jacobian(loss, leaf(3, 4), vectorize=True), expected)


def test_a_view_with_the_negative_bit_is_read_as_its_values() -> None:
    x = torch.view_as_complex(torch.ones(2, 3, 2, dtype=torch.float64)).conj().imag
    assert x.is_neg()
    loss = from_loss_and_grad(squares)
    assert torch.equal(loss(x, x * 2), loss(x.resolve_neg(), x.resolve_neg() * 2))
