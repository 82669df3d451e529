"""Losses of the real steps of a padded batch: every frontend gives the value and the gradient of a plain loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from . import plain_steps as plain
from .frontends import ROUNDING, LossFrontend, params

RNG = np.random.default_rng(3)
LOGITS = 2 * RNG.normal(size=(4, 6, 5))
LABELS = RNG.integers(0, 5, (4, 6))
PREDICTIONS, NUMBERS = RNG.normal(size=(4, 6, 3)), RNG.normal(size=(4, 6, 3))
PER_STEP = RNG.normal(size=(4, 6))
LENGTHS = np.array([6, 2, 0, 5])
MASK = np.array([[1, 0, 1, 1, 0, 1], [0, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1], [0, 0, 1, 0, 1, 1]])
UPSTREAM = RNG.normal(size=(4, 6))
ERRORS = ("squared", "absolute")
REDUCTIONS: list[tuple[str, float | None]] = [
    ("none", None), ("sum", None), ("sum", 12.5), ("mean", None), ("batch", None), ("labels", None)
]  # fmt: skip


@pytest.fixture(params=params())
def steps(request: pytest.FixtureRequest) -> LossFrontend:
    return request.param


@pytest.fixture(params=params(("float32",)))
def float32_steps(request: pytest.FixtureRequest) -> LossFrontend:
    return request.param


def tolerance(steps: LossFrontend) -> float:
    """Of a value, relative to numbers near 1; a few roundings of the type that is computed in."""
    return 1e-13 if steps.dtype == "float64" else 2e-6


def assert_agree(
    steps: LossFrontend, name: str, expected: tuple[np.ndarray, np.ndarray, np.ndarray], x: np.ndarray, *args: Any,
    reduction: str = "none", denominator: float | None = None, **options: Any,
) -> None:  # fmt: skip
    """Value, gradient and type; the gradient exactly 0 where a step is not real."""
    losses, grads, real = expected
    by = plain.divisor(reduction, real, denominator)
    upstream = UPSTREAM[:, : losses.shape[1]] if reduction == "none" else np.float64(1.5)
    found, (gradient,) = steps.value_and_grads(
        name, [x], *args, upstream=upstream, reduction=reduction, denominator=denominator, **options
    )
    assert str(found.dtype) == steps.computed_in
    wanted = losses if reduction == "none" else losses.sum() / by
    np.testing.assert_allclose(found, wanted, rtol=4 * tolerance(steps), atol=4 * tolerance(steps))
    rows = (upstream * real / by).reshape(*real.shape, *(1,) * (grads.ndim - 2))
    allowed = max(4 * tolerance(steps), ROUNDING[steps.dtype])
    np.testing.assert_allclose(gradient, grads * rows, rtol=allowed, atol=allowed)
    assert (gradient[~real] == 0).all()
    alone = steps.value(name, [x], *args, reduction=reduction, denominator=denominator, **options)
    np.testing.assert_allclose(alone, found, rtol=4 * tolerance(steps))  # JAX may divide in another way


@pytest.mark.parametrize(("reduction", "denominator"), REDUCTIONS)
def test_reductions_of_cross_entropy_agree_with_the_loop(
    steps: LossFrontend, reduction: str, denominator: float | None
) -> None:
    x = steps.rounded(LOGITS)
    expected = plain.cross_entropy(x, LABELS, LENGTHS, MASK, 1, 0.2)
    assert_agree(
        steps, "masked_cross_entropy", expected, x, LABELS, LENGTHS, mask=MASK, padding=1, label_smoothing=0.2,
        reduction=reduction, denominator=denominator,
    )  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [{}, {"lengths": LENGTHS}, {"mask": MASK.astype(bool)}, {"padding": -1}, {"padding": 3}, {"smoothing": 1.0}],
    ids=lambda options: next(iter(options), "all"),
)
def test_steps_are_real_by_lengths_a_mask_or_a_padding(float32_steps: LossFrontend, options: dict[str, Any]) -> None:
    labels = np.where(MASK == 0, -1, LABELS) if options.get("padding") == -1 else LABELS
    expected = plain.cross_entropy(float32_steps.rounded(LOGITS), labels, **options)
    given = {{"smoothing": "label_smoothing"}.get(name, name): value for name, value in options.items()}
    assert_agree(float32_steps, "masked_cross_entropy", expected, LOGITS, labels, **given)


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize(("reduction", "denominator"), REDUCTIONS)
def test_reductions_of_errors_agree_with_the_loop(
    steps: LossFrontend, kind: str, reduction: str, denominator: float | None
) -> None:
    x, y = steps.rounded(PREDICTIONS), NUMBERS.astype(np.float32).astype(np.float64)
    expected = plain.error(kind, x, y, LENGTHS, MASK)
    assert_agree(
        steps, f"masked_{kind}_error", expected, x, y, LENGTHS, mask=MASK, reduction=reduction, denominator=denominator
    )


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("padding", [-9.0, float("nan")], ids=["-9", "nan"])
@pytest.mark.parametrize("features", [None, 1, 3])
def test_a_step_of_errors_is_padding_if_all_its_targets_are(
    float32_steps: LossFrontend, kind: str, padding: float, features: int | None
) -> None:
    x = float32_steps.rounded(PREDICTIONS[..., : features or 1])
    y = NUMBERS[..., : features or 1].astype(np.float32).astype(np.float64)
    y[MASK == 0] = padding
    if features == 3:
        y[1, 2, 1] = -9.0  # one feature alone is no padding
    x, y = (x, y) if features else (x[..., 0], y[..., 0])
    assert_agree(float32_steps, f"masked_{kind}_error", plain.error(kind, x, y, padding=padding), x, y, padding=padding)


def reciprocal(step: Any) -> Any:
    return 1.0 / step


WEIGHTS = {"sqrt": "sqrt", "linear": "linear", "exponential": "exponential", "callable": reciprocal}


@pytest.mark.parametrize("weight", WEIGHTS.values(), ids=WEIGHTS)
@pytest.mark.parametrize(("reduction", "denominator"), [("none", None), ("mean", None), ("sum", 12.5)])
def test_steps_are_weighted_from_the_first_real_one_of_their_row(
    steps: LossFrontend, weight: Any, reduction: str, denominator: float | None
) -> None:
    x = steps.rounded(PER_STEP)
    weights, real = plain.weights((4, 6), weight, LENGTHS, MASK)
    options = {"mask": MASK, "weight": weight, "reduction": reduction, "denominator": denominator}
    assert_agree(steps, "time_weighted", (weights * x, weights, real), x, LENGTHS, **options)


def test_the_mean_is_over_real_steps_only(float32_steps: LossFrontend) -> None:
    """Not over rows, and not over the time axis: three real steps of loss 2 and a row of none."""
    ones = np.full((2, 4), 2.0)
    found = float32_steps.value("masked_absolute_error", [ones], 0 * ones, np.array([3, 0]))
    assert found == 2.0


@pytest.mark.parametrize("junk", [np.nan, np.inf, -np.inf])
def test_what_stands_in_padding_is_never_read(float32_steps: LossFrontend, junk: float) -> None:
    real = (np.arange(6) < LENGTHS[:, None]) & (MASK != 0)
    for name, x, y in (
        ("masked_cross_entropy", LOGITS, LABELS),
        ("masked_squared_error", PREDICTIONS, NUMBERS),
        ("masked_absolute_error", PREDICTIONS, NUMBERS),
        ("time_weighted", PER_STEP, None),
    ):
        spoilt = np.where(real.reshape(4, 6, *(1,) * (x.ndim - 2)), x, junk)
        filled = [] if y is None else [np.where(real, y, 99) if y is LABELS else np.where(real[..., None], y, junk)]
        clean = float32_steps.value_and_grads(name, [x], *([] if y is None else [y]), LENGTHS, mask=MASK)
        found = float32_steps.value_and_grads(name, [spoilt], *filled, LENGTHS, mask=MASK)
        np.testing.assert_array_equal(found[0], clean[0])
        np.testing.assert_array_equal(found[1][0], clean[1][0])


@pytest.mark.parametrize("name", ["masked_cross_entropy", "masked_squared_error", "time_weighted"])
def test_nan_in_a_real_step_stays_there(float32_steps: LossFrontend, name: str) -> None:
    x = {"masked_cross_entropy": LOGITS, "masked_squared_error": PREDICTIONS, "time_weighted": PER_STEP}[name].copy()
    args = {"masked_cross_entropy": [LABELS], "masked_squared_error": [NUMBERS], "time_weighted": []}[name]
    clean = float32_steps.value_and_grads(name, [x], *args, reduction="none")
    x[1, 3] = np.nan
    found = float32_steps.value_and_grads(name, [x], *args, reduction="none")
    others = np.ones((4, 6), bool)
    others[1, 3] = False
    assert np.isnan(found[0][1, 3])
    np.testing.assert_array_equal(found[0][others], clean[0][others])
    np.testing.assert_array_equal(found[1][0][others], clean[1][0][others])


def test_a_class_of_minus_inf_has_probability_0(float32_steps: LossFrontend) -> None:
    x = np.array([[[0.0, -np.inf, 0.0]]])
    found, (gradient,) = float32_steps.value_and_grads("masked_cross_entropy", [x], np.array([[0]]))
    np.testing.assert_allclose(found, np.log(2), rtol=1e-6)
    np.testing.assert_allclose(gradient, [[[-0.5, 0.0, 0.5]]], atol=1e-6)
    assert np.isposinf(float32_steps.value("masked_cross_entropy", [x], np.array([[1]])))


@pytest.mark.parametrize("shape", [(0, 6), (4, 0)], ids=["no rows", "no steps"])
def test_without_a_step_every_reduction_is_0(float32_steps: LossFrontend, shape: tuple[int, int]) -> None:
    x, labels = np.zeros((*shape, 5)), np.zeros(shape, np.int64)
    for reduction in ("sum", "mean", "batch", "labels"):
        assert float32_steps.value("masked_cross_entropy", [x], labels, reduction=reduction) == 0
        assert float32_steps.value("masked_squared_error", [x], x, reduction=reduction) == 0
        assert float32_steps.value("time_weighted", [x[..., 0]], reduction=reduction) == 0
    assert float32_steps.value("masked_cross_entropy", [x], labels, reduction="none").shape == shape


def test_a_batch_of_padding_has_loss_0_and_gradient_0(float32_steps: LossFrontend) -> None:
    for reduction in ("sum", "mean", "batch", "labels"):
        found, (gradient,) = float32_steps.value_and_grads(
            "masked_cross_entropy", [LOGITS], 0 * LABELS - 1, padding=-1, reduction=reduction
        )
        assert found == 0
        assert (gradient == 0).all()


def test_a_row_does_not_depend_on_the_rest_of_the_batch(float32_steps: LossFrontend) -> None:
    whole = float32_steps.value("masked_cross_entropy", [LOGITS], LABELS, LENGTHS, reduction="none")
    alone = float32_steps.value("masked_cross_entropy", [LOGITS[1:2]], LABELS[1:2], LENGTHS[1:2], reduction="none")
    np.testing.assert_allclose(whole[1:2], alone, rtol=1e-6)


def test_exponential_weights_of_a_long_row_are_finite(float32_steps: LossFrontend) -> None:
    found = float32_steps.value("time_weighted", [np.ones((1, 2000))], weight="exponential", reduction="sum")
    np.testing.assert_allclose(found, 1 / (1 - np.exp(-1)), rtol=1e-5)


def test_the_callers_arrays_keep_their_bytes(float32_steps: LossFrontend) -> None:
    arrays = [LOGITS.astype(np.float32), LABELS.copy(), LENGTHS.copy(), MASK.copy()]
    before = [array.tobytes() for array in arrays]
    float32_steps.value_and_grads("masked_cross_entropy", arrays[:1], *arrays[1:3], mask=arrays[3], padding=2)
    assert [array.tobytes() for array in arrays] == before


@pytest.mark.parametrize("kind", ["int8", "uint8", "int16", "int32", "int64"])
def test_labels_and_lengths_may_have_any_integer_type(float32_steps: LossFrontend, kind: str) -> None:
    expected = float32_steps.value("masked_cross_entropy", [LOGITS], LABELS, LENGTHS, mask=MASK)
    args = (LABELS.astype(kind), LENGTHS.astype(kind))
    assert float32_steps.value("masked_cross_entropy", [LOGITS], *args, mask=MASK.astype(kind)) == expected
    assert (
        float32_steps.value("masked_cross_entropy", [LOGITS], LABELS.tolist(), LENGTHS.tolist(), mask=MASK.tolist())
        == expected
    )
