"""`compare` and `layers`: planted mistakes are found in the first tensor that has them, and named."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
import torch

import seqloss.jax
import seqloss.torch
from seqloss.doctor import layers
from seqloss.doctor.comparison import Comparison, compare
from seqloss.doctor.comparison.causes import CAUSES, CAUSES_OF_SHAPES
from seqloss.errors import DTypeError, OptionError, ShapeError

RNG = np.random.default_rng(7)
BATCH, TIME, FEATURES, HIDDEN, CLASSES = 4, 7, 3, 8, 5
FEATURE_ROWS = RNG.normal(size=(BATCH, TIME, FEATURES)).astype(np.float32)
LABELS = np.array([[1, 2], [3, 3], [4, 1], [2, 4]])
FRAMES = np.array([7, 5, 6, 3])
BATCH_OF_THE_MODEL = (FEATURE_ROWS, LABELS, FRAMES)

MODEL = torch.nn.Sequential(
    OrderedDict(hidden=torch.nn.Linear(FEATURES, HIDDEN), tanh=torch.nn.Tanh(), logits=torch.nn.Linear(HIDDEN, CLASSES))
)
with torch.no_grad():
    for weights in MODEL.parameters():
        weights.copy_(torch.from_numpy(RNG.normal(size=weights.shape).astype(np.float32)))
OUTPUTS = ["hidden", "tanh", "logits", "loss"]
GRADIENTS = ["gradient.logits.bias", "gradient.logits.weight", "gradient.hidden.bias", "gradient.hidden.weight"]


def in_torch(features: np.ndarray, labels: np.ndarray, frames: np.ndarray) -> dict[str, Any]:
    with layers(MODEL) as seen:
        loss = seqloss.torch.ctc_loss(MODEL(torch.from_numpy(features)), labels, frames, reduction="sum")
        loss.backward()
    return seen(loss=loss)


def in_jax(**mistakes: Callable[[Any], Any]) -> Callable[..., dict[str, Any]]:
    """The same model in JAX, but for what `mistakes` do to its tensors, each a function of the right value."""

    def right(x: Any) -> Any:
        return x

    def model(parameters: Mapping[str, Any], features: Any, labels: Any, frames: Any) -> tuple[Any, dict[str, Any]]:
        found, x = {}, mistakes.get("features", right)(jnp.asarray(features))
        for name, step in (("hidden", None), ("tanh", jnp.tanh), ("logits", None)):
            x = step(x) if step else x @ parameters[f"{name}.weight"].T + parameters[f"{name}.bias"]
            found[name] = x = mistakes.get(name, right)(x)
        loss = mistakes.get("loss", right)(seqloss.jax.ctc_loss(x, labels, frames, reduction="sum"))
        return loss.sum(), {**found, "loss": loss}

    def run(*batch: Any) -> dict[str, Any]:
        weights = {name: jnp.asarray(p.detach().numpy()) for name, p in MODEL.named_parameters()}
        (_, found), gradient = jax.value_and_grad(model, has_aux=True)(weights, *batch)
        changed = mistakes.get("gradient", right)({name: gradient[name] for name in weights})
        return {**found, "gradient": changed}

    return run


def held_against_jax(**mistakes: Callable[[Any], Any]) -> Comparison:
    return compare(in_torch, in_jax(**mistakes), *BATCH_OF_THE_MODEL, names=("torch", "jax"))


def of(a: Any, b: Any, *batch: Any, **options: Any) -> Comparison:
    """Two arrays, or mappings of them, against each other."""
    return compare(lambda *_: a, lambda *_: b, *batch, **options)


def hint(a: Any, b: Any, *batch: Any, **options: Any) -> str:
    divergence = of(a, b, *batch, **options).divergence
    assert divergence is not None
    return divergence.hint


def test_one_model_in_torch_and_in_jax_agrees_in_every_tensor_in_the_order_of_computation() -> None:
    found = held_against_jax()
    assert found.same
    assert found.divergence is None
    assert [place.names for place in found.tensors] == [(name, name) for name in OUTPUTS + GRADIENTS]
    assert found.unmatched == ((), ())
    assert str(found).splitlines()[-1] == "torch and jax agree in all 8 tensors"


MISTAKES: list[tuple[str, dict[str, Callable[[Any], Any]], str, str]] = [
    (
        "time and batch swapped",
        {"hidden": lambda x: x.swapaxes(0, 1), "logits": lambda x: x.swapaxes(0, 1)},
        "hidden",
        "equal if axes 0 and 1 are swapped: is one of them time first?",
    ),
    (
        "sequences read backwards",
        {"features": lambda x: x[:, ::-1]},
        "hidden",
        "equal if axis 1 is reversed: is a sequence reversed on one side only?",
    ),
    (
        "a bias added twice",
        {"hidden": lambda x: x + MODEL.hidden.bias.detach().numpy()},
        "hidden",
        "jax - torch is one vector along the last axis: is a bias missing, or added twice?",
    ),
    ("an activation twice", {"tanh": jnp.tanh}, "tanh", "jax is the tanh of torch: is it applied on one side only?"),
    (
        "an activation left out",
        {"tanh": jnp.arctanh},
        "tanh",
        "torch is the tanh of jax: is it applied on one side only?",
    ),
    (
        "padding masked on one side",
        {"tanh": lambda x: x * (jnp.arange(TIME) < FRAMES[:, None])[..., None]},
        "tanh",
        "equal inside the lengths in argument 2: is padding masked in the same way?",
    ),
    (
        "one row wrong",
        {"tanh": lambda x: x.at[2].multiply(0.5)},
        "tanh",
        "equal except in rows 2 (of 4): are padding, masks and lengths handled in the same way?",
    ),
    (
        "the blank last",
        {"logits": lambda x: jnp.roll(x, -1, -1)},
        "logits",
        "equal if jax's axis 2 is rolled by 1: blank first versus last?",
    ),
    (
        "log_softmax on one side",
        {"logits": jax.nn.log_softmax},
        "logits",
        "jax is the log_softmax of torch over axis 2: is it applied on one side only?",
    ),
    (
        "softmax on one side",
        {"logits": jax.nn.softmax},
        "logits",
        "jax is the softmax of torch over axis 2: is it applied on one side only?",
    ),
    (
        "NaN in a row",
        {"logits": lambda x: x.at[1, 0].set(jnp.nan)},
        "logits",
        "only jax has NaN, in 5 of 140 entries, in rows 1: log of 0 or less, 0 / 0, inf - inf?",
    ),
    (
        "a mean for a sum",
        {"loss": lambda loss: loss / BATCH},
        "loss",
        "torch is 4 times jax; 4 is the size of axis 0 of argument 0: sum versus mean?",
    ),
    ("the wrong sign", {"loss": lambda loss: -loss}, "loss", "equal up to sign: log-likelihood versus loss?"),
    (
        "an axis kept",
        {"loss": lambda loss: loss[None]},
        "loss",
        "equal without the axes of size 1: is one squeezed on one side only?",
    ),
    (
        "a cut graph",
        {"tanh": jax.lax.stop_gradient},
        "gradient.hidden.bias",
        "jax is 0 everywhere: the graph is detached (detach, stop_gradient)?",
    ),
    (
        "a weight the other way round",
        {"gradient": lambda g: {n: x.T for n, x in g.items()}},
        "gradient.logits.weight",
        "equal if axes 0 and 1 are swapped: is a weight transposed, or one of them time first?",
    ),
]


@pytest.mark.parametrize(("mistakes", "place", "cause"), [m[1:] for m in MISTAKES], ids=[m[0] for m in MISTAKES])
def test_a_planted_mistake_is_found_where_it_is_and_named(mistakes: dict[str, Any], place: str, cause: str) -> None:
    found = held_against_jax(**mistakes)
    assert not found.same
    assert found.divergence is not None
    assert (found.divergence.name, found.divergence.hint) == (place, cause)
    earlier = found.tensors[: found.tensors.index(found.divergence)]
    assert [p.name for p in earlier] == (OUTPUTS + GRADIENTS)[: len(earlier)]
    assert all(p.same for p in earlier)


def test_a_layer_computed_in_a_half_type_is_found_and_named() -> None:
    found = held_against_jax(hidden=lambda x: x.astype(jnp.bfloat16).astype(jnp.float32)).divergence
    assert found is not None
    assert found.name == "hidden"
    assert re.match(r"jax (is torch rounded to|has only values of) bfloat16", found.hint)


ROWS = RNG.normal(size=(4, 6, 8))
SQUARE = RNG.normal(size=(4, 4))
CHANGED: list[tuple[Any, Any, str]] = [
    (
        ROWS,
        ROWS.transpose(0, 2, 1),
        "equal if axes 1 and 2 are swapped: is a weight transposed, or channels first versus channels last?",
    ),
    (
        SQUARE,
        SQUARE.T,
        "equal if axes 0 and 1 are swapped: is a weight transposed, or one of them time first?",
    ),
    (
        ROWS,
        ROWS.transpose(2, 0, 1),
        "equal if second's axes are permuted to the order (1, 2, 0): channels first versus channels last?",
    ),
    (ROWS[..., None], ROWS.swapaxes(0, 1)[..., None], "equal if axes 0 and 1 are swapped: is one of them time first?"),
    (
        ROWS[:, 0, 0],
        ROWS[:, :1, 0],
        "equal without the axes of size 1: is one squeezed on one side only?; "
        "an operation on both broadcasts to (4, 4)",
    ),
    (
        ROWS[0, 0, 0],
        ROWS[:1, 0, 1],
        "of the same shape without the axes of size 1: is one squeezed on one side only?",
    ),
    (ROWS[0][..., None], ROWS[0], "equal without the axes of size 1: is one squeezed on one side only?"),
    (ROWS, ROWS.reshape(24, 8), "equal after reshaping: the same entries in the same order"),
    (ROWS, ROWS[:, :5], "equal at the beginning of axis 1, of sizes 6 and 5: padding, or truncation?"),
    (ROWS[:, 2:], ROWS, "equal at the end of axis 1, of sizes 4 and 6: padding, or truncation?"),
    (
        ROWS,
        np.where(np.arange(192).reshape(4, 6, 8) // 3 == 63, np.inf, ROWS),
        "only second has inf, in 3 of 192 entries, in rows 3: an overflow, a mask, an infeasible row?",
    ),
    (ROWS * 0, ROWS, "first is 0 everywhere: an uninitialised weight, a dead activation?"),
    (ROWS, -ROWS, "equal up to sign: log-likelihood versus loss?"),
    (ROWS, ROWS * 2.5, "second is 2.5 times first"),
    (ROWS, ROWS / -2.5, "first is -2.5 times second"),
    (ROWS, ROWS * 8, "second is 8 times first; 8 is the size of its axis 2: sum versus mean?"),
    (
        ROWS,
        ROWS / 8**0.5,
        "first is 2.82843 times second; 8, its square, is the size of its axis 2: "
        "is a scale missing, or applied twice?",
    ),
    (3.5, 35.0, "second is 10 times first"),
    (ROWS, ROWS[:, :, ::-1], "equal if axis 2 is reversed: is a sequence reversed on one side only?"),
    (ROWS, np.roll(ROWS, 1, 2), "equal if second's axis 2 is rolled by -1: blank first versus last?"),
    (ROWS, np.roll(ROWS, 1, 1), "equal if second's axis 1 is rolled by -1: is one of them shifted?"),
    (
        ROWS,
        ROWS[..., [0, 1, 4, 5, 2, 3, 6, 7]],
        "equal if second's axis 2 is permuted to the order 0-1, 4-5, 2-3, 6-7: "
        "classes, or gates of a recurrent cell in another order?",
    ),
    (
        ROWS,
        ROWS[[1, 0, 3, 2]],
        "equal if second's axis 0 is permuted to the order 1, 0, 3, 2: rows sorted by length, "
        "classes, or gates of a recurrent cell in another order?",
    ),
    (ROWS, np.exp(ROWS), "second is the exponential of first: is it applied on one side only?"),
    (np.maximum(ROWS, 0), ROWS, "first is the relu of second: is it applied on one side only?"),
    (ROWS, 1 / (1 + np.exp(-ROWS)), "second is the sigmoid of first: is it applied on one side only?"),
    (
        ROWS,
        np.exp(ROWS) / np.exp(ROWS).sum(1, keepdims=True),
        "second is the softmax of first over axis 1: is it applied on one side only?",
    ),
    (ROWS, ROWS + 0.75, "second - first is 0.75 everywhere: is a constant added on one side only?"),
    (
        ROWS,
        ROWS + SQUARE.ravel()[:8],
        "second - first is one vector along the last axis: is a bias missing, or added twice?",
    ),
    (
        ROWS,
        ROWS + SQUARE[:, :1, None],
        "equal up to a constant per row of the last axis: log-probabilities versus logits?",
    ),
    (ROWS, ROWS.astype(np.float16).astype(float), "second is first rounded to float16: a cast, or autocast?"),
    (ROWS.astype(ml_dtypes.bfloat16).astype(float), ROWS, "first is second rounded to bfloat16: a cast, or autocast?"),
    (
        (ROWS * 1.001).astype(np.float16).astype(float),
        ROWS,
        "first has only values of float16: computed in float16 (autocast)?",
    ),
    (
        ROWS,
        ROWS + np.abs(ROWS).max() * 2e-13 * (ROWS > 0),
        "accumulated rounding errors? Then set rtol=1e-12",
    ),
    (
        ROWS,
        ROWS + np.sin(ROWS) * (np.arange(6) > 2)[:, None],
        "equal except from 3 on (of 6) along axis 1: are padding, masks and lengths handled in the same way?",
    ),
    (
        ROWS,
        ROWS * (np.arange(8) != 5),
        "equal except at 5 (of 8) along axis 2: are padding, masks and lengths handled in the same way?",
    ),
    (
        ROWS,
        ROWS * (1 + 1e-3 * np.sin(9 * ROWS)),
        "equal to 3 digits: a lower precision inside (TF32, autocast), another epsilon in a normalisation, an "
        "approximate activation (GELU)?",
    ),
    (ROWS, ROWS + np.sin(9 * ROWS), ""),
    (3.5, 4.5, ""),
]


@pytest.mark.parametrize(("a", "b", "cause"), CHANGED, ids=[str(n) for n in range(len(CHANGED))])
def test_what_makes_two_arrays_equal_is_found_by_trying(a: Any, b: Any, cause: str) -> None:
    assert hint(a, b) == cause


def test_a_factor_is_found_beside_a_mask() -> None:
    masked = np.where(ROWS > 1, -np.inf, ROWS)
    assert hint(masked, masked * 2.5) == "second is 2.5 times first"


def test_a_tie_is_rounded_to_the_even_number_of_bfloat16() -> None:
    ties = 1 + np.arange(16) * 2.0**-8
    assert hint(ties, ties.astype(ml_dtypes.bfloat16).astype(float)) == (
        "second is first rounded to bfloat16: a cast, or autocast?"
    )


def test_of_many_rows_the_first_are_listed() -> None:
    found = hint(np.ones((30, 1)), np.where((np.arange(30) % 3 == 0)[:, None], np.nan, 1.0))
    assert ", in rows 0, 3, 6, 9, 12, 15, 18, 21, ...: " in found


LENGTHS = np.array([6, 2, 4, 3])
INSIDE = (np.arange(6) < LENGTHS[:, None])[..., None]


def test_differences_past_the_lengths_are_reported_batch_first_and_time_first() -> None:
    masked = ROWS * INSIDE
    for a, b in ((ROWS, masked), (ROWS.swapaxes(0, 1), masked.swapaxes(0, 1))):
        assert (
            hint(a, b, "words", LENGTHS) == "equal inside the lengths in argument 1: is padding masked in the same way?"
        )
    assert "inside the lengths" not in hint(ROWS, ROWS * INSIDE, LENGTHS + 1)


def test_a_gradient_that_is_0_but_for_rounding_is_reported() -> None:
    noise = np.float32([1e-9, -2e-9, 4e-9])
    a = {"loss": 1.0, "gradient.bias": noise, "gradient.weight": np.float32([2.0])}
    b = {"loss": 1.0, "gradient.bias": noise[[2, 2, 1]], "gradient.weight": np.float32([2.0])}
    assert hint(a, b) == (
        "much smaller than the largest "
        "gradient, 2: rounding errors of a zero gradient, as of a bias before a normalisation? "
        "Then set atol=1e-08"
    )
    assert of(a, b, atol=1e-8).same


def test_a_difference_that_the_types_allow_themselves_is_called_rounding() -> None:
    assert hint(ROWS, ROWS * (1 + 1e-15), rtol=0.0) == "rounding: the tolerance of the types is rtol=1.4e-14"


@pytest.mark.parametrize("cause", [*CAUSES, *CAUSES_OF_SHAPES[1:]], ids=lambda cause: cause.__name__)
def test_without_one_of_the_causes_the_finding_differs(
    cause: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def answers() -> list[str]:
        lengths = hint(ROWS, ROWS * INSIDE, LENGTHS)
        gradient = hint({"gradient.a": 1e-20, "gradient.b": 1.0}, {"gradient.a": 1.7e-20, "gradient.b": 1.0})
        rounding = hint(ROWS, ROWS * (1 + 1e-15), rtol=0.0)
        return [lengths, gradient, rounding, *(hint(a, b) for a, b, _ in CHANGED)]

    before = answers()
    for name, causes in (("CAUSES", CAUSES), ("CAUSES_OF_SHAPES", CAUSES_OF_SHAPES)):
        monkeypatch.setattr(f"seqloss.doctor.comparison.causes.{name}", tuple(c for c in causes if c is not cause))
    assert answers() != before


def test_only_the_first_divergence_is_given_a_cause() -> None:
    found = of({"a": ROWS, "b": ROWS, "c": ROWS}, {"a": ROWS, "b": -ROWS, "c": -ROWS})
    assert [(place.same, bool(place.hint)) for place in found.tensors] == [(True, False), (False, True), (False, False)]
    assert found.divergence == found.tensors[1]


def test_a_tensor_has_the_figures_of_its_worst_entry() -> None:
    place = of(np.float32([[1, 2], [3, 4]]), np.array([[1, 2.5], [3, 2]])).divergence
    assert place is not None
    assert (place.absolute, place.relative, place.index, place.values) == (2.0, 0.5, (1, 1), (4.0, 2.0))
    assert (place.shapes, place.dtypes) == (((2, 2), (2, 2)), ("float32", "float64"))
    assert place.tolerance == 4 * 2.0**-17


def test_a_comparison_is_printed_tensor_by_tensor_and_then_in_words() -> None:
    first = {"hidden": ROWS[0], "out": [1.0, 4.0], "kept": 1}
    second = {"hidden": ROWS[0], "out": [1.0, 2.0]}
    assert str(of(first, second, names=("torch", "jax"))).splitlines() == [
        "ok       hidden  (6, 8) float64  max difference 0, tolerance 2.7e-14",
        "differs  out     (2,) float64  max difference 2, tolerance 5.7e-14",
        "not compared, only in torch: kept",
        "torch and jax diverge at out, tensor 2 of 2",
        "  largest difference at [1]: torch 4, jax 2; absolute 2, relative 0.5",
        "  likely cause: equal except in rows 1 (of 2): are padding, masks and lengths handled in the same way?",
    ]
    assert str(of([[1.0, 2.0, 3.5]], [[3.0, 1.0]], names=("torch", "jax"))).splitlines() == [
        "differs  0  (3,) | (2,) float64",
        "torch and jax diverge at 0, tensor 1 of 1",
        "  shapes: torch (3,), jax (2,)",
        "  likely cause: not recognised; inspect the code that computes this tensor",
    ]


def names_of(first: Any, second: Any) -> list[tuple[str, str]]:
    return [place.names for place in of(first, second).tensors]


def test_the_same_names_match_in_the_order_of_the_first() -> None:
    assert names_of({"b": 1, "a": 2}, {"a": 2, "b": 1}) == [("b", "b"), ("a", "a")]
    assert of({"b": 1, "a": 2}, {"a": 2, "b": 1}).same


def test_equally_many_other_names_match_in_order() -> None:
    first = {"a": 1, "b": 2, "loss": 3, "gradient.a": 4, "gradient.b": 5}
    second = {"x": 1, "y": 2, "loss": 3, "gradient": {"x": 4, "y": 5}}
    pairs = [("a", "x"), ("b", "y"), ("loss", "loss"), ("gradient.b", "gradient.y"), ("gradient.a", "gradient.x")]
    assert names_of(first, second) == pairs
    assert of(first, second).same


def test_equally_many_names_of_which_one_would_get_another_partner_do_not_match_in_order() -> None:
    found = of({"a": 1, "tanh": 0, "b": 2}, {"a": 1, "b": 2, "c": 3})
    assert [place.names for place in found.tensors] == [("a", "a"), ("b", "b")]
    assert found.unmatched == (("tanh",), ("c",))


def test_common_names_match_where_there_are_not_equally_many_and_the_others_are_left_out() -> None:
    found = of({"a": 1, "b": 2, "loss": 3}, {"loss": 3, "a": 1})
    assert [place.names for place in found.tensors] == [("a", "a"), ("loss", "loss")]
    assert found.unmatched == (("b",), ())
    assert found.same


def test_outputs_are_compared_first_then_the_loss_then_gradients_in_reverse() -> None:
    side = {"gradient.a": 1, "loss": 2, "a": 3, "gradient": {"b": {"w": 4}}, "b": 5}
    assert [n for n, _ in names_of(side, side)] == ["a", "b", "loss", "gradient.b.w", "gradient.a"]


@pytest.mark.parametrize(
    ("returned", "names"),
    [
        (ROWS, ["output"]),
        (3.5, ["output"]),
        ((ROWS, 1.0), ["0", "1"]),
        ([1.0, 2.0], ["0", "1"]),
        ({"a": [[1, 2], [3, 4]]}, ["a"]),
        ({"a": [ROWS, {"b": SQUARE, 3: SQUARE}]}, ["a.0", "a.1.b", "a.1.3"]),
        (OrderedDict(x=(jnp.ones(2), torch.ones(2))), ["x.0", "x.1"]),
    ],
)
def test_nested_results_are_flattened_with_dots(returned: Any, names: list[str]) -> None:
    assert names_of(returned, returned) == [(name, name) for name in names]


VALUES = np.array([[1.5, -2.0], [0.25, 3.0]], np.float32)


@pytest.mark.parametrize(
    ("array", "dtype"),
    [
        (torch.tensor(VALUES), "float32"),
        (torch.tensor(VALUES, requires_grad=True) * 1, "float32"),
        (torch.nn.Parameter(torch.tensor(VALUES)).bfloat16(), "bfloat16"),
        (torch.tensor(VALUES).half(), "float16"),
        (torch.tensor(VALUES).to_sparse(), "float32"),
        (jnp.asarray(VALUES), "float32"),
        (jnp.asarray(VALUES, jnp.bfloat16), "bfloat16"),
        (tf.constant(VALUES), "float32"),
        (tf.Variable(VALUES), "float32"),
        (tf.cast(tf.constant(VALUES), tf.bfloat16), "bfloat16"),
        (VALUES.astype(ml_dtypes.bfloat16), "bfloat16"),
        (VALUES.astype(float).tolist(), "float64"),
        (VALUES.astype(np.longdouble), np.dtype(np.longdouble).name),
    ],
    ids=lambda x: f"{type(x).__module__.partition('.')[0]}.{type(x).__name__}" if not isinstance(x, str) else x,
)
def test_arrays_of_any_framework_are_taken(array: Any, dtype: str) -> None:
    found = of({"a": array}, {"a": VALUES.astype(np.float64)})
    assert found.same
    assert found.tensors[0].absolute == 0
    assert found.tensors[0].dtypes == (dtype, "float64")


def test_an_array_that_knows_only_dlpack_is_taken() -> None:
    class Foreign:
        def __dlpack__(self, **options: Any) -> Any:
            return VALUES.__dlpack__(**options)

        def __dlpack_device__(self) -> tuple[int, int]:
            return VALUES.__dlpack_device__()

    assert of(Foreign(), VALUES).same


@pytest.mark.parametrize(
    ("types", "ulps", "ulp"),
    [
        (("float64", "float64"), 64, 2.0**-52),
        (("float64", "float32"), 64, 2.0**-23),
        (("float16", "float32"), 4, 2.0**-10),
        (("bfloat16", "float16"), 4, 2.0**-7),
        (("int64", "float32"), 64, 2.0**-23),
    ],
)
def test_the_coarser_type_of_the_two_sets_the_tolerance(types: tuple[str, str], ulps: int, ulp: float) -> None:
    a, b = (np.array([4.0, 0.0]).astype(getattr(ml_dtypes, name, name)) for name in types)
    assert of({"a": a}, {"a": b}).tensors[0].tolerance == 4 * ulps * ulp


def test_a_difference_is_allowed_up_to_the_tolerance_and_not_past_it() -> None:
    rtol = 2.0**-46
    assert of([[1.0, rtol]], [[1.0, 0.0]]).same
    assert not of([[1.0, rtol * (1 + 1e-15)]], [[1.0, 0.0]]).same
    assert of([[1.0, rtol + 0.5]], [[1.0, 0.0]], atol=0.5).same


def test_integers_must_be_equal_unless_a_tolerance_is_given() -> None:
    a, b = {"a": np.array([1000, 7])}, {"a": np.array([1000, 8])}
    assert not of(a, b).same
    assert of(a, b, atol=1).same
    assert not of(a, b, atol=0.9).same
    assert "rounding" not in hint(a, b, atol=0.9)
    assert of(a, b, rtol=1e-3).same
    assert not of(a, b, rtol=0.9e-3).same


def test_an_entry_that_is_0_but_for_rounding_does_not_part() -> None:
    assert of(np.float32([1000, 1e-4]), np.float32([1000.001, -1e-4])).same
    assert of(np.float32([1e6, 1.0]), np.float32([1e6 + 1, 2.0])).same


def test_a_mask_that_both_have_widens_no_tolerance_and_one_that_differs_diverges() -> None:
    for mask in (-1e9, -1e4, -np.inf, np.finfo(np.float32).min):
        assert not of(np.float32([mask, 1.0]), np.float32([mask, 1.001])).same
        assert of(np.float32([mask, 1.0]), np.float32([mask, 1.000001])).same
        assert not of(np.float32([mask, 1.0]), np.float32([1.0, 1.0])).same


def test_what_is_not_finite_is_the_same_if_it_is_so_on_both_sides() -> None:
    assert of([[np.nan, np.inf, 1.0]], [[np.nan, np.inf, 1.0]]).same
    for a, b in ((np.nan, 1.0), (np.inf, -np.inf), (np.inf, 1.0), (np.nan, np.inf)):
        for pair in ((a, b), (b, a)):
            place = of(*pair).divergence
            assert place is not None
            assert place.absolute == np.inf


def test_infinities_of_another_sign_in_a_gradient_have_a_cause_too() -> None:
    a, b = np.array([np.inf, np.inf, 1e-20]), np.array([np.inf, -np.inf, 1e-20])
    assert hint({"gradient.a": a, "gradient.b": 1}, {"gradient.a": b, "gradient.b": 1}).startswith(
        "equal except in rows 1"
    )


def test_empty_arrays_are_the_same_if_their_shapes_are() -> None:
    assert of(np.zeros((0, 3)), np.zeros((0, 3))).same
    assert not of(np.zeros((0, 3)), np.zeros((0, 2))).same


def test_a_side_that_writes_to_the_batch_does_not_change_the_others() -> None:
    def careless(x: np.ndarray) -> np.ndarray:
        x *= 2
        return x

    batch = ROWS.copy()
    assert compare(careless, careless, batch).same
    assert (batch == ROWS).all()


def test_a_factor_equal_to_the_sum_of_the_lengths_is_reported() -> None:
    assert hint(3.0, 3.0 * LENGTHS.sum(), ROWS, LENGTHS) == (
        "second is 15 times first; 15 is the sum of argument 1: sum versus mean?"
    )
    assert hint(3.0, 72.0, ROWS).startswith(
        "second is 24 times first; 24 is the size of axes 0 and 1 together of argument 0"
    )


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda: of({"a": 1}, {"b": 1, "c": 2}),
            ShapeError,
            "no tensor in common: first returns a; second returns b, c; return the same names, or the same "
            "number of tensors in the same order.",
        ),
        (lambda: of({}, {"b": 1}), ShapeError, "first returns nothing"),
        (lambda: of({"a": "text"}, {"a": 1}), DTypeError, "first's a: expected an array of real numbers, found str"),
        (
            lambda: of({"a": 1}, {"a": None}),
            DTypeError,
            "second's a: expected an array of real numbers, found NoneType",
        ),
        (
            lambda: of(np.ones(2) * 1j, 1),
            DTypeError,
            "first's output: expected an array of real numbers, found complex128",
        ),
        (
            lambda: of({"a": [[1, 2], [3]]}, {"a": 1}),
            ShapeError,
            "first's a: found rows of different lengths; pad them",
        ),
        (
            lambda: of(None, 1),
            DTypeError,
            "first's output: expected an array of real numbers, found NoneType; return the arrays",
        ),
        (lambda: of({"a.b": 1, "a": {"b": 2}}, {"a.b": 1}), OptionError, "first returns two tensors named 'a.b'"),
        (lambda: of(1, 1, rtol=-1.0), OptionError, "rtol: found -1.0, expected a number >= 0"),
        (lambda: of(1, 1, atol=float("nan")), OptionError, "atol: found nan, expected a number >= 0"),
        (
            lambda: of(1, 1, names=("jax", "jax")),
            OptionError,
            "names: found ('jax', 'jax'), expected two different names",
        ),
        (
            lambda: compare(lambda: 1, {"a": 1}),
            OptionError,
            "second: expected a function of the batch, found dict; for existing arrays pass lambda: arrays",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused_with_what_to_do(
    call: Callable[[], Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=re.escape(words)):
        call()


def recorded(model: torch.nn.Module, *inputs: torch.Tensor, backward: bool = False) -> dict[str, Any]:
    with layers(model) as seen:
        output = model(*inputs)
        if backward:
            output.sum().backward()
    return seen()


X = torch.from_numpy(RNG.normal(size=(2, 3, 3)).astype(np.float32))


def test_layers_are_recorded_in_order_of_execution_and_gradients_by_parameter() -> None:
    found = recorded(MODEL, X, backward=True)
    assert list(found)[:3] == ["hidden", "tanh", "logits"]
    assert list(found)[3:] == [f"gradient.{name}" for name, _ in MODEL.named_parameters()]
    hidden = MODEL.hidden(X)
    assert torch.equal(found["hidden"], hidden)
    assert torch.equal(found["tanh"], hidden.tanh())
    assert torch.equal(found["logits"], MODEL(X))
    assert not any(tensor.requires_grad for tensor in found.values())


def test_passed_tensors_are_between_outputs_and_gradients() -> None:
    with layers(MODEL) as seen:
        MODEL(X).sum().backward()
    assert list(seen(loss=1, extra=2))[2:6] == ["logits", "loss", "extra", "gradient.hidden.weight"]


def test_a_gradient_is_what_backward_added_inside_the_with_block() -> None:
    alone = recorded(MODEL, X, backward=True)
    for parameter in MODEL.parameters():
        parameter.grad = torch.full_like(parameter, 1e9)
    again = recorded(MODEL, X, backward=True)
    assert all(torch.equal(alone[name], again[name]) for name in alone)
    with layers(MODEL) as seen:
        MODEL(X).sum().backward()
        MODEL(X).sum().backward()
        MODEL.zero_grad()
    torch.testing.assert_close(seen()["gradient.logits.bias"], 2 * alone["gradient.logits.bias"])
    with layers(MODEL) as seen:
        torch.autograd.grad(MODEL(X).sum(), list(MODEL.parameters()))
    assert torch.equal(seen()["gradient.hidden.weight"], alone["gradient.hidden.weight"])


def test_a_parameter_out_of_reach_has_a_gradient_of_0_a_frozen_one_none_and_without_backward_there_are_none() -> None:
    model = torch.nn.ModuleDict({"used": torch.nn.Linear(3, 2), "not": torch.nn.Linear(3, 2)})
    model["used"].bias.requires_grad_(False)
    with layers(model) as seen:
        loss = model["used"](X).sum()
        assert list(seen()) == ["used"]
        loss.backward()
    assert list(seen()) == ["used", "gradient.used.weight", "gradient.not.weight", "gradient.not.bias"]
    assert not seen()["gradient.not.weight"].any()
    assert seen()["gradient.used.weight"].any()


class Twice(torch.nn.Module):
    """One layer, called twice, and tied to a second name."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 3)
        self.tied = self.layer
        self.lstm = torch.nn.LSTM(3, 4, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.tied(self.layer(x))
        return self.lstm(x)[0] + self.lstm(x * 2)[0]


def test_a_second_call_and_the_parts_of_a_tuple_have_names_of_their_own() -> None:
    model = Twice()
    found = recorded(model, X, backward=True)
    names = ["layer", "layer#2", "lstm", "lstm.1", "lstm.2", "lstm#2", "lstm#2.1", "lstm#2.2"]
    assert [name for name in found if not name.startswith("gradient")] == names
    output, (h, c) = model.lstm(found["layer#2"])
    assert all(map(torch.equal, (found["lstm"], found["lstm.1"], found["lstm.2"]), (output, h, c)))
    assert torch.equal(found["gradient.layer.weight"], model.layer.weight.grad)


class Named(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> dict[str, Any]:
        return {"logits": x, "states": (x + 1, None, [x + 2])}


def test_the_parts_of_a_mapping_have_their_keys_and_a_model_of_one_layer_is_the_output() -> None:
    assert list(recorded(Named(), X)) == ["output.logits", "output.states", "output.states.1"]
    assert list(recorded(torch.nn.Linear(3, 2), X)) == ["output"]


def test_a_layer_that_works_in_place_does_not_change_what_was_recorded_before_it() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(inplace=True))
    found = recorded(model, X)
    assert torch.equal(found["0"], model[0](X))
    assert (found["0"] < 0).any()


def test_a_module_that_does_not_call_its_parts_is_a_layer() -> None:
    attention = torch.nn.MultiheadAttention(3, 1, batch_first=True)
    found = recorded(attention, X, X, X)
    assert list(found) == ["output", "output.1"]
    weighed = torch.nn.Sequential(torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(3, 2)))
    assert list(recorded(weighed, X)) == ["0"]


def test_after_the_with_the_model_is_as_before_and_nothing_more_is_recorded() -> None:
    with pytest.raises(RuntimeError), layers(MODEL) as seen:
        MODEL(torch.ones(1, FEATURES + 1))
    MODEL(X).sum().backward()
    assert seen() == {}
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in MODEL.modules())
    assert not any(parameter._backward_hooks for parameter in MODEL.parameters())


def test_what_is_no_module_is_refused() -> None:
    with pytest.raises(DTypeError, match=r"model: expected a torch.nn.Module, found function"), layers(in_torch):
        pass
