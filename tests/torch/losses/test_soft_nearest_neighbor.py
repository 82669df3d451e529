"""Derivatives, transforms, compilers and memory of the soft nearest neighbour loss in PyTorch."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch

from seqloss.torch import soft_nearest_neighbor
from seqloss.torch.losses import pair_blocks

LABELS = torch.tensor([0, 1, 2, 0, 1, 0, 2, 0])


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(pair_blocks.BLOCK, "cpu", 3)


def points(dtype: torch.dtype = torch.float64, *shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(*(shape or (8, 3)), generator=generator, dtype=torch.float64).to(dtype)


def call(metric: str, reduction: str) -> Callable[..., torch.Tensor]:
    def loss(x: torch.Tensor, temperature: torch.Tensor) -> torch.Tensor:
        return soft_nearest_neighbor(x, LABELS, temperature=temperature, metric=metric, reduction=reduction)

    return loss


@pytest.mark.parametrize(("metric", "reduction"), [("euclidean", "none"), ("cosine", "mean")])
def test_first_and_second_derivatives_are_numerical_ones(metric: str, reduction: str) -> None:
    given = (points().requires_grad_(), torch.tensor(0.7, dtype=torch.float64, requires_grad=True))
    assert torch.autograd.gradcheck(call(metric, reduction), given, check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(call(metric, reduction), given, check_batched_grad=True)


def test_every_way_to_the_hessian_gives_the_same() -> None:
    def loss(x: torch.Tensor) -> torch.Tensor:
        return soft_nearest_neighbor(x, LABELS, temperature=0.5)

    x = points()
    expected = torch.autograd.functional.hessian(loss, x)
    assert (expected != 0).any()
    found = [
        torch.autograd.functional.hessian(loss, x, vectorize=True),
        torch.func.hessian(loss)(x),
        torch.func.jacrev(torch.func.jacrev(loss))(x),
        torch.func.jacfwd(torch.func.jacfwd(loss))(x),
    ]
    for one in found:
        torch.testing.assert_close(one, expected)


@pytest.mark.parametrize("distance", [0.0, 15.0, 100.0])
def test_the_second_derivative_of_separated_classes_is_a_number(distance: float) -> None:
    x = points(torch.float32)
    x[LABELS == 1] += distance
    x[LABELS == 2] -= distance
    hessian = torch.func.hessian(lambda x: soft_nearest_neighbor(x, LABELS))(x)
    assert hessian.isfinite().all()


def test_a_point_detached_in_place_has_no_second_derivative_and_says_so() -> None:
    x = points().requires_grad_()
    scaled = x * 1.0
    loss = pair_blocks.BlockLosses.apply(scaled, LABELS).sum()
    scaled.detach_()
    with pytest.raises(RuntimeError, match="detached in place"):
        torch.autograd.grad(loss, x, create_graph=True)


def test_vmap_gives_each_batch_its_loss_and_gradient() -> None:
    many, labels = points(torch.float64, 3, 8, 2), torch.stack([LABELS, LABELS.flip(0), LABELS % 2])
    found = torch.func.vmap(soft_nearest_neighbor)(many, labels)
    gradients = torch.func.vmap(torch.func.grad(soft_nearest_neighbor))(many, labels)
    for x, y, loss, gradient in zip(many, labels, found, gradients, strict=True):
        x.requires_grad_()
        expected = soft_nearest_neighbor(x, y)
        torch.testing.assert_close(loss, expected.detach())
        torch.testing.assert_close(gradient, torch.autograd.grad(expected, x)[0])


def test_a_compiled_program_is_one_graph_with_the_same_result() -> None:
    compiled = torch.compile(soft_nearest_neighbor, fullgraph=True, backend="aot_eager")
    x, heat = points(torch.float32).requires_grad_(), torch.tensor(0.5, requires_grad=True)
    expected = torch.autograd.grad(soft_nearest_neighbor(x, LABELS, temperature=heat), (x, heat))
    torch.testing.assert_close(torch.autograd.grad(compiled(x, LABELS, temperature=heat), (x, heat)), expected)


def test_autocast_leaves_the_precision_alone() -> None:
    x = points(torch.float32).requires_grad_()
    expected = soft_nearest_neighbor(x, LABELS)
    (gradient,) = torch.autograd.grad(expected, x)
    hessian = torch.autograd.functional.hessian(lambda x: soft_nearest_neighbor(x, LABELS), x.detach())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = soft_nearest_neighbor(x, LABELS)
        torch.testing.assert_close(torch.autograd.grad(found, x)[0], gradient, rtol=0, atol=0)
        transformed = torch.func.grad(lambda x: soft_nearest_neighbor(x, LABELS))(x.detach())
        twice = torch.autograd.functional.hessian(lambda x: soft_nearest_neighbor(x, LABELS), x.detach())
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    torch.testing.assert_close(transformed, gradient, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(twice, hessian, rtol=1e-4, atol=1e-5)


def test_a_learnt_temperature_may_have_any_type() -> None:
    heat = torch.ones((), dtype=torch.float16, requires_grad=True)
    loss = soft_nearest_neighbor(points(), LABELS, temperature=heat)
    loss.backward()
    assert loss.shape == ()
    assert heat.grad is not None
    assert heat.grad.shape == ()
    with pytest.raises(ValueError, match=r"temperature: expected shape \(\), a scalar, found \(2,\)"):
        soft_nearest_neighbor(points(), LABELS, temperature=torch.ones(2))
    with pytest.raises(ValueError, match="temperature: expected a positive number, found -1"):
        soft_nearest_neighbor(points(), LABELS, temperature=torch.tensor(-1.0))


def test_a_temperature_that_cannot_be_seen_and_is_not_positive_gives_nan() -> None:
    x, heat = points(), torch.tensor([1.0, 0, -1])
    losses = torch.func.vmap(lambda t: soft_nearest_neighbor(x, LABELS, temperature=t))(heat)
    assert losses.isnan().tolist() == [False, True, True]


def test_views_of_other_tensors_have_the_same_bits() -> None:
    wide = points(torch.float32, 3, 16)
    turned = wide.t()[::2]
    assert not turned.is_contiguous()
    torch.testing.assert_close(
        soft_nearest_neighbor(turned, LABELS), soft_nearest_neighbor(turned.contiguous(), LABELS), rtol=0, atol=0
    )


MEASURE = """
import json, sys
import numpy as np

count, dimensions, framework = int(sys.argv[1]), 128, sys.argv[2]
rng = np.random.default_rng(0)
points = rng.normal(size=(count, dimensions)).astype(np.float32)
labels = rng.integers(0, 10, count)
if framework == "torch":
    import torch
    from seqloss.torch import soft_nearest_neighbor

    torch.set_num_threads(1)
    points, labels = torch.from_numpy(points).requires_grad_(), torch.from_numpy(labels)

    def call(count):
        loss = soft_nearest_neighbor(points[:count], labels[:count], temperature=10.0)
        loss.backward()
        return float(loss), float(points.grad.abs().sum())
else:
    from seqloss.numpy import soft_nearest_neighbor_and_grad

    def call(count):
        loss, gradient, _ = soft_nearest_neighbor_and_grad(points[:count], labels[:count], temperature=10.0)
        return float(loss), float(abs(gradient).sum())


def read(name):
    line = next(line for line in open("/proc/self/status") if line.startswith(name))
    return int(line.split()[1]) * 1024


call(600)  # libraries are loaded
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # the peak is that of now
before = read("VmRSS")
found = call(count)
print(json.dumps([*found, read("VmHWM") - before]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("count", "most"),
    [pytest.param(5000, 2**26, id="5000"), pytest.param(20_000, 2**30, id="20000", marks=pytest.mark.long)],
)
@pytest.mark.parametrize("framework", ["numpy", "torch"])
def test_value_and_gradient_fit_in_little_memory_beside_the_points(framework: str, count: int, most: int) -> None:
    command = [sys.executable, "-c", MEASURE, str(count), framework]
    loss, gradient, peak = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert np.isfinite([loss, gradient]).all()
    assert loss > 0 < gradient
    assert peak < most, f"{peak / 2**20:.0f} MiB"
