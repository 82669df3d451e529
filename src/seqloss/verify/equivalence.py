"""Two implementations of one model: the first place where they part, and the likely cause.

Every place, a layer's output, the loss or a gradient, is a pair of arrays. Their shapes must be the same, and each pair
of entries a, b must fulfil

    |a - b| <= atol + rtol * largest,        largest: the size of the largest finite entry of the two arrays

so that an entry that is 0 but for rounding does not part. An entry of 1e4 or more that both have, to the bit, is a
mask, and does not count as the largest. NaN is the same as NaN, inf as inf of its sign.

By default `rtol` follows from the coarser type of the two: 64 ulp for float64 (2^-46) and float32 (2^-17), 4 ulp for
float16 (2^-8) and bfloat16 (2^-5), whose layers are mostly summed in float32 and rounded once; 0 for integers. What one
layer is off by, the next carries on, and may enlarge: a deep or recurrent network needs more than its first layer does.

Where they part, causes are tried one by one: are the arrays equal if two axes are swapped, if one is multiplied by a
number, and so on (`CAUSES`). What fits is a hint, no proof.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

import numpy as np

from seqloss.errors import OptionError, ShapeError, wrong_dtype

RTOL = {"float64": 2.0**-46, "float32": 2.0**-17, "float16": 2.0**-8, "bfloat16": 2.0**-5}

MASK = 1e4


def compare(
    first: Callable[..., Any],
    second: Callable[..., Any],
    *batch: Any,
    rtol: float | None = None,
    atol: float = 0.0,
    names: tuple[str, str] = ("first", "second"),
) -> Comparison:
    """Hold two implementations of one model against each other, layer by layer: where do they part, and why?

    Outputs and the loss are compared first, in order, then the gradients from the last to the first: in the order of
    computation. So the first parting is where to look; those after it may follow from it. Rounding grows from layer to
    layer: where the figures grow little by little and then part, give `rtol`.

    Names match if both sides have the same, in the first's order. Otherwise, if there are equally many, they match in
    order, unless this gives a name that both have another partner. Otherwise the common names match, and the others are
    left out. Gradients match among themselves.

    Args:
        first, second: functions of the batch that return an ordered mapping of name to array, NumPy's or any
            framework's: outputs of layers in order, "loss", and "gradient.<name>". Nested mappings and lists are
            flattened with dots; a tuple or list of arrays is "0", "1" and so on, an array alone "output".
        batch: what both are called with; NumPy arrays are copied for each.
        rtol: allowed difference, relative to the largest entry of a place; None for that of the coarser type: 2^-46 for
            float64, 2^-17 for float32, 2^-8 for float16, 2^-5 for bfloat16, 0 for integers.
        atol: allowed difference beside it.
        names: what to call the two.

    Returns:
        a `Comparison`: `same`, `parting`, `places`. Print it.

    Raises:
        ShapeError: the two have no place in common; a place has rows of uneven length.
        DTypeError: a place is no array of real numbers.
        OptionError: a tolerance that is negative or NaN; names that are not two; a side that is no function, or returns
            two places of one name.

    Example:
        >>> import numpy as np
        >>> from seqloss.verify.equivalence import compare
        >>> rows = np.arange(6.0).reshape(2, 3)
        >>> print(compare(lambda x: {"total": x.sum(1)}, lambda x: {"total": x.mean(1)}, rows))
        parts  total  (2,) float64  off by 8, allowed 1.7e-13
        first and second part at total, place 1 of 1
          worst at [1]: first 12, second 4; off by 8, 0.67 of the largest entry
          likely cause: first is 3 times second; 3 is the size of axis 1 of argument 0: a sum against a mean?
    """
    _check(first, second, rtol, atol, names)
    mine, theirs = _call(first, names[0], batch), _call(second, names[1], batch)
    matched, left_out = _match(mine, theirs, names)
    gradients = [array.size for side in (mine, theirs) for name, array in side.items() if _is_gradient(name)]
    places: list[Place] = []
    for n, m in matched:
        beside = max(gradients) if _is_gradient(n) else 0.0
        pair = Pair(mine[n], theirs[m], names, rtol, atol, beside, batch)
        place = pair.place((n, m))
        parts_first = not place.same and all(earlier.same for earlier in places)
        places.append(replace(place, hint=likely_cause(pair)) if parts_first else place)
    return Comparison(names, tuple(places), left_out)


@dataclass(frozen=True)
class Place:
    """One pair of arrays, and how far they are from each other.

    Attributes:
        names: what it is called on either side.
        shapes, dtypes: on either side.
        same: whether the shapes are equal and no entry is off by more than `allowed`.
        absolute: the worst difference; inf where only one entry is finite; None where the shapes differ.
        relative: the same over the largest entry.
        allowed: the difference that is still the same.
        index: of the worst entry; None where the shapes differ or there are no entries.
        values: the worst entry on either side.
        hint: of the first place that parts, the likely cause; empty if none fits.
    """

    names: tuple[str, str]
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    dtypes: tuple[str, str]
    same: bool
    absolute: float | None = None
    relative: float | None = None
    allowed: float | None = None
    index: tuple[int, ...] | None = None
    values: tuple[float, float] | None = None
    hint: str = ""

    @property
    def name(self) -> str:
        """Both sides' names, or the one that both have."""
        return _once(self.names)

    def line(self, width: int) -> str:
        """The place in one line, its name filled up to a width."""
        figures = "" if self.absolute is None else f"  off by {self.absolute:.2g}, allowed {self.allowed:.2g}"
        word = "ok   " if self.same else "parts"
        return f"{word}  {self.name:{width}}  {_once(self.shapes)} {_once(self.dtypes)}{figures}"


@dataclass(frozen=True)
class Comparison:
    """What `compare` found; printed, a line for each place, then the first parting in words.

    Attributes:
        names: of the two sides.
        places: every pair, in the order of computation: outputs, loss, gradients from the last to the first.
        left_out: names that only one side has, for either side.
    """

    names: tuple[str, str]
    places: tuple[Place, ...]
    left_out: tuple[tuple[str, ...], tuple[str, ...]]

    @property
    def same(self) -> bool:
        """Whether no place parts."""
        return self.parting is None

    @property
    def parting(self) -> Place | None:
        """The first place that parts."""
        return next((place for place in self.places if not place.same), None)

    def __str__(self) -> str:
        width = max(len(place.name) for place in self.places)
        lines = [place.line(width) for place in self.places]
        for side, alone in zip(self.names, self.left_out, strict=True):
            lines += [f"left out, as only {side} has it: {name}" for name in alone]
        return "\n".join([*lines, *self._verdict()])

    def _verdict(self) -> Iterator[str]:
        first, second = self.names
        place = self.parting
        if place is None:
            yield f"{first} and {second} are the same in {len(self.places)} of {len(self.places)} places"
            return
        yield f"{first} and {second} part at {place.name}, place {self.places.index(place) + 1} of {len(self.places)}"
        if place.values is None:
            yield f"  shapes: {first} {place.shapes[0]}, {second} {place.shapes[1]}"
        else:
            a, b = (f"{value:.6g}" for value in place.values)
            off = f"off by {place.absolute:.2g}, {place.relative:.2g} of the largest entry"
            yield f"  worst at {list(place.index or ())}: {first} {a}, {second} {b}; {off}"
        yield f"  likely cause: {place.hint or 'none that was tried; look at what computes this place'}"


@dataclass(frozen=True, eq=False)
class Array:
    """Any framework's array, in float64, and the type that it came in."""

    values: np.ndarray
    dtype: str

    @property
    def size(self) -> float:
        """The largest finite entry's."""
        return float(np.abs(self.values[np.isfinite(self.values)]).max(initial=0.0))


@dataclass(frozen=True, eq=False)
class Pair:
    """Two arrays at one place, and what is known around them.

    Attributes:
        first, second: the arrays.
        names: of the two sides.
        rtol, atol: as in `compare`.
        beside: the largest entry of all gradients if this is one, else 0.
        batch: what both sides were called with.
    """

    first: Array
    second: Array
    names: tuple[str, str]
    rtol: float | None
    atol: float
    beside: float
    batch: tuple[Any, ...]

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        return self.first.values, self.second.values

    @property
    def alike(self) -> bool:
        """Whether the shapes are equal."""
        return self.first.values.shape == self.second.values.shape

    @property
    def type_rtol(self) -> float:
        """What the coarser type allows, relatively."""
        return max(RTOL.get(array.dtype, 0.0) for array in (self.first, self.second))

    @property
    def allowed(self) -> float:
        return self.atol + (self.type_rtol if self.rtol is None else self.rtol) * _largest(*self.arrays)

    @property
    def off(self) -> float:
        """The worst difference."""
        return float(_difference(*self.arrays).max())

    @property
    def parting(self) -> np.ndarray:
        """The entries that are off by more, bool in the arrays' shape."""
        return _difference(*self.arrays) > self.allowed

    def close(self, a: np.ndarray, b: np.ndarray) -> bool:
        """Whether a cause makes two arrays equal, as far as their types can tell."""
        if a.shape != b.shape:
            return False
        rtol = max(self.rtol or 0.0, self.type_rtol)
        return bool((_difference(a, b) <= self.atol + rtol * _largest(a, b)).all())

    def ways(self) -> Iterator[tuple[np.ndarray, str, np.ndarray, str]]:
        """An array and its side's name, the other and its side's; both ways round."""
        (a, b), (first, second) = self.arrays, self.names
        yield a, first, b, second
        yield b, second, a, first

    def place(self, names: tuple[str, str]) -> Place:
        a, b = self.arrays
        place = Place(names, (a.shape, b.shape), (self.first.dtype, self.second.dtype), same=False)
        if not self.alike:
            return place
        if a.size == 0:
            return replace(place, same=True, absolute=0.0, relative=0.0, allowed=0.0)
        off, allowed, largest = _difference(a, b), self.allowed, _largest(a, b)
        index = tuple(int(k) for k in np.unravel_index(off.argmax(), off.shape))
        worst, values = float(off[index]), (float(a[index]), float(b[index]))
        relative = worst / largest if worst and largest else worst
        return replace(
            place, same=worst <= allowed, absolute=worst, relative=relative, allowed=allowed, index=index, values=values
        )


def _difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """|a - b|: 0 where both are NaN or the same infinity, inf where only one is finite."""
    with np.errstate(invalid="ignore", over="ignore"):
        off = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
    return np.where(np.isnan(off), np.inf, off)


def _largest(a: np.ndarray, b: np.ndarray) -> float:
    """The size of the largest finite entry that is no mask."""
    sizes = np.abs(np.stack([a, b]))
    return float(sizes[np.isfinite(sizes) & ~((a == b) & (sizes >= MASK))].max(initial=0.0))


def _check(first: Any, second: Any, rtol: float | None, atol: float, names: tuple[str, str]) -> None:
    for option, value in (("rtol", rtol), ("atol", atol)):
        if value is not None and not value >= 0:
            raise OptionError(f"{option}: found {value}, expected a number from 0 up.")
    if isinstance(names, str) or len(names) != 2 or names[0] == names[1]:
        raise OptionError(f"names: found {names!r}, expected two different ones, say ('torch', 'jax').")
    for name, side in zip(names, (first, second), strict=True):
        if not callable(side):
            raise OptionError(
                f"{name}: expected a function of the batch, found {type(side).__name__}; "
                "for arrays that are there already give lambda: arrays, and no batch."
            )


def _call(side: Callable[..., Any], name: str, batch: tuple[Any, ...]) -> dict[str, Array]:
    """What a side returns for its own copy of the batch, flat."""
    returned = side(*(part.copy() if isinstance(part, np.ndarray) else part for part in batch))
    places: dict[str, Array] = {}
    for key, value in _flat(returned):
        if key in places:
            raise OptionError(f"{name} returns two places named {key!r}; give each a name of its own.")
        places[key] = _array(value, f"{name}'s {key}")
    return places


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every array of nested mappings and lists by its dotted name; a list of numbers that has a name is an array."""
    inner: Iterable[tuple[Any, Any]]
    if isinstance(value, Mapping):
        inner = value.items()
    elif isinstance(value, tuple | list) and not (name and _only_numbers(value)):
        inner = enumerate(value)
    else:
        yield name or "output", value
        return
    for key, part in inner:
        yield from _flat(part, f"{name}.{key}" if name else str(key))


def _only_numbers(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_only_numbers, value))
    return isinstance(value, int | float | np.number)


def _array(value: Any, where: str) -> Array:
    """By what an array can do: torch's is known by `detach`, all others by the protocols of NumPy and DLPack."""
    bfloat16 = "bfloat16" in str(getattr(value, "dtype", ""))
    if hasattr(value, "detach"):
        value = value.detach().to_dense()
        value = (value.float() if bfloat16 else value).numpy(force=True)
    elif hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
        value = np.from_dlpack(value)
    try:
        found = np.asarray(value)
    except ValueError:
        raise ShapeError(f"{where}: found rows of uneven length; pad them, or give each a name of its own.") from None
    if not bfloat16 and found.dtype.kind not in "biuf":
        kind = type(value).__name__ if found.dtype == object else found.dtype.name
        raise wrong_dtype(where, kind, "an array of real numbers")
    return Array(found.astype(np.float64), "bfloat16" if bfloat16 else found.dtype.name)


def _is_gradient(name: str) -> bool:
    return name == "gradient" or name.startswith("gradient.")


def _match(
    mine: Mapping[str, Array], theirs: Mapping[str, Array], names: tuple[str, str]
) -> tuple[list[tuple[str, str]], tuple[tuple[str, ...], tuple[str, ...]]]:
    """Pairs of names in the order of computation, and for either side the names that have no partner."""
    pairs = [pair for part in (_forward, _backward) for pair in _matched(part(mine), part(theirs))]
    if not pairs:
        first, second = (
            f"{name} returns {', '.join(side) or 'nothing'}" for name, side in zip(names, (mine, theirs), strict=True)
        )
        raise ShapeError(
            f"no place in common: {first}; {second}; give both the same names, or equally many places in one order."
        )
    taken = [{pair[side] for pair in pairs} for side in (0, 1)]
    return pairs, (tuple(n for n in mine if n not in taken[0]), tuple(n for n in theirs if n not in taken[1]))


def _forward(names: Iterable[str]) -> list[str]:
    return sorted((name for name in names if not _is_gradient(name)), key=lambda name: name == "loss")


def _backward(names: Iterable[str]) -> list[str]:
    return [name for name in names if _is_gradient(name)][::-1]


def _matched(mine: list[str], theirs: list[str]) -> list[tuple[str, str]]:
    common = set(mine) & set(theirs)
    in_order = list(zip(mine, theirs, strict=False))
    if len(mine) != len(theirs) or any(n != m and {n, m} & common for n, m in in_order):
        return [(name, name) for name in mine if name in common]
    return in_order


def likely_cause(pair: Pair) -> str:
    """The first of `CAUSES` that fits two arrays that part, in words; empty if none does."""
    causes = CAUSES if pair.alike else CAUSES_OF_SHAPES
    with np.errstate(all="ignore"):
        return next(filter(None, (cause(pair) for cause in causes)), "")


def axes_in_another_order(pair: Pair) -> str:
    a, b = pair.arrays
    if a.ndim != b.ndim or not 2 <= a.ndim <= 5:
        return ""
    for order in sorted(permutations(range(a.ndim)), key=lambda order: len(_moved(order)))[1:]:
        if pair.close(a, b.transpose(order)):
            return _axes_told(_moved(order), order, pair.names[1])
    return ""


def _axes_told(moved: list[int], order: tuple[int, ...], side: str) -> str:
    if len(moved) > 2:
        return f"equal if {side}'s axes are put in the order {order}: channels first against channels last?"
    cause = "is one of them time first" if moved == [0, 1] else "channels first against channels last"
    if moved[1] == len(order) - 1:
        cause = "is a weight stored the other way round, or " + ("one of them time first" if moved[0] == 0 else cause)
    return f"equal if axes {moved[0]} and {moved[1]} are swapped: {cause}?"


def _moved(order: Sequence[int]) -> list[int]:
    return [axis for axis, origin in enumerate(order) if axis != origin]


def axes_of_one(pair: Pair) -> str:
    a, b = pair.arrays
    if a.squeeze().shape != b.squeeze().shape:
        return ""
    equal = "equal" if pair.close(a.squeeze(), b.squeeze()) else "of one shape"
    return f"{equal} without the axes of size 1: is one kept on one side?{_trap(a.shape, b.shape)}"


def _trap(*shapes: tuple[int, ...]) -> str:
    """What becomes of two shapes that are met in one operation."""
    try:
        grown = np.broadcast_shapes(*shapes)
    except ValueError:
        return ""
    return "" if grown in shapes else f"; what is computed from both broadcasts to {grown}"


def reshaped(pair: Pair) -> str:
    a, b = pair.arrays
    return "equal but for the shape: the same entries in one order" if pair.close(a.ravel(), b.ravel()) else ""


def cut(pair: Pair) -> str:
    a, b = pair.arrays
    unlike = [axis for axis in range(min(a.ndim, b.ndim)) if a.shape[axis] != b.shape[axis]]
    if a.ndim != b.ndim or len(unlike) != 1:
        return ""
    axis = unlike[0]
    sizes = a.shape[axis], b.shape[axis]
    for where, part in (("beginning", range(min(sizes))), ("end", range(-min(sizes), 0))):
        if min(sizes) and pair.close(a.take(part, axis), b.take(part, axis)):
            return (
                f"equal at the {where} of axis {axis}, of which there are {sizes[0]} and {sizes[1]}: padding, or a cut?"
            )
    return ""


def within_the_type(pair: Pair) -> str:
    return f"rounding: the types themselves allow rtol={pair.type_rtol:.2g}" if pair.close(*pair.arrays) else ""


def not_finite(pair: Pair) -> str:
    for what, test, cause in (
        ("NaN", np.isnan, "the logarithm of 0 or less, 0 / 0, inf - inf"),
        ("inf", np.isinf, "an overflow, a mask, a row that no path fits"),
    ):
        for a, _, b, side in pair.ways():
            alone = test(b) & ~test(a)
            if alone.any():
                rows = f", in rows {_spans(alone.nonzero()[0])}" if b.ndim else ""
                return f"only {side} has {what}, in {alone.sum()} of {b.size} entries{rows}: {cause}?"
    return ""


def zero(pair: Pair) -> str:
    cause = (
        "the graph is cut (detach, stop_gradient)" if pair.beside else "a weight is never filled, an activation dead"
    )
    for a, _, b, side in pair.ways():
        if a.any() and not b.any():
            return f"{side} is 0 everywhere: {cause}?"
    return ""


def sign(pair: Pair) -> str:
    a, b = pair.arrays
    return "equal up to sign: a log-likelihood against a loss?" if pair.close(a, -b) else ""


def factor(pair: Pair) -> str:
    a, b = (np.where(np.isfinite(array), array, 0.0) for array in pair.arrays)
    ratio = float(np.vdot(a, b) / np.vdot(a, a))
    if not 1e-30 < abs(ratio) < 1e30 or not pair.close(ratio * pair.arrays[0], pair.arrays[1]):
        return ""
    number = ratio if abs(ratio) > 1 else 1 / ratio
    meaning = _meaning(abs(number), pair)
    whole = abs(number) > 1.5 and _near(abs(number), round(abs(number)), pair)
    if np.count_nonzero(a) == 1 and not meaning and not whole:  # a number is always a multiple of another
        return ""
    large, small = pair.names if abs(ratio) < 1 else pair.names[::-1]
    return f"{large} is {number:.6g} times {small}{meaning}"


def _meaning(number: float, pair: Pair) -> str:
    """What a factor may stand for."""
    for size, words in _sizes(pair):
        if size > 1 and _near(number, size, pair):
            return f"; {size} is the {words}: a sum against a mean?"
        if size > 1 and _near(number, math.sqrt(size), pair):
            return f"; {size}, its square, is the {words}: a scale left out, or applied twice?"
    return ""


def _near(number: float, other: float, pair: Pair) -> bool:
    return math.isclose(number, other, rel_tol=4 * pair.type_rtol)


def _sizes(pair: Pair) -> Iterator[tuple[int, str]]:
    arrays = [(k, part) for k, part in enumerate(pair.batch) if isinstance(part, np.ndarray)]
    for k, part in arrays:
        yield from ((size, f"size of axis {axis} of argument {k}") for axis, size in enumerate(part.shape))
    for k, part in arrays:
        if _is_lengths(part):
            yield int(part.sum()), f"sum of argument {k}"
        elif part.ndim > 1:
            yield part.shape[0] * part.shape[1], f"size of axes 0 and 1 together of argument {k}"
    yield from ((size, f"size of its axis {axis}") for axis, size in enumerate(pair.arrays[0].shape))


def reversed_axis(pair: Pair) -> str:
    a, b = pair.arrays
    axis = next((axis for axis in range(b.ndim) if pair.close(a, np.flip(b, axis))), None)
    return "" if axis is None else f"equal if axis {axis} is reversed: a sequence read backwards, or not turned back?"


def rolled(pair: Pair) -> str:
    a, b = pair.arrays
    for axis in reversed(range(b.ndim)):
        for step in (1, -1):
            if pair.close(a, np.roll(b, step, axis)):
                cause = "the blank first against last" if axis == b.ndim - 1 else "is one of them shifted"
                return f"equal if {pair.names[1]}'s axis {axis} is rolled by {step}: {cause}?"
    return ""


def permuted(pair: Pair) -> str:
    a, b = pair.arrays
    for axis in reversed(range(b.ndim)):
        order = _order(a, b, axis)
        if pair.close(a, b.take(order, axis)):
            cause = "classes" if axis else "rows sorted by length and not put back, classes"
            told = f"equal if {pair.names[1]}'s axis {axis} is put in the order {_spans(order)}"
            return f"{told}: {cause}, or a cell's gates in another order?"
    return ""


def _order(a: np.ndarray, b: np.ndarray, axis: int) -> np.ndarray:
    """Which slice of b may be each slice of a: both are sorted by one random projection."""
    ranks = []
    for array in (a, b):
        slices = np.moveaxis(np.where(np.isfinite(array), array, 0.0), axis, 0).reshape(array.shape[axis], -1)
        ranks.append(np.argsort(slices @ np.random.default_rng(0).normal(size=slices.shape[1]), kind="stable"))
    order = np.empty_like(ranks[0])
    order[ranks[0]] = ranks[1]
    return order


def function_of_the_other(pair: Pair) -> str:
    for a, name, b, side in pair.ways():
        for axis in (axis for axis in reversed(range(a.ndim)) if a.shape[axis] > 1):
            for word, over in (("softmax", _softmax), ("log_softmax", _log_softmax)):
                if pair.close(over(a, axis), b):
                    return f"{side} is the {word} of {name} over axis {axis}: is it applied on one side only?"
        for word, apply in ACTIVATIONS.items():
            if pair.close(apply(a), b):
                return f"{side} is the {word} of {name}: is it applied on one side only?"
    return ""


def _log_softmax(a: np.ndarray, axis: int) -> np.ndarray:
    a = a - a.max(axis, keepdims=True)
    return a - np.log(np.exp(a).sum(axis, keepdims=True))


def _softmax(a: np.ndarray, axis: int) -> np.ndarray:
    return np.exp(_log_softmax(a, axis))


ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "exponential": np.exp,
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "tanh": np.tanh,
    "relu": lambda a: np.maximum(a, 0),
}


def offset(pair: Pair) -> str:
    a, b = pair.arrays
    first, second = pair.names
    if a.size > 2 and pair.close(a + (b - a).mean(), b):
        return f"{second} - {first} is {(b - a).mean():.6g} everywhere: is a number added on one side only?"
    rows = tuple(range(a.ndim - 1))
    if a.ndim > 1 and a.size > a.shape[-1] and pair.close(a + (b - a).mean(rows), b):
        return f"{second} - {first} is one vector along the last axis: is a bias left out, or added twice?"
    if a.ndim and a.shape[-1] > 2 and pair.close(a + (b - a).mean(-1, keepdims=True), b):
        return "equal up to a number for each row of the last axis: log-probabilities against scores?"
    return ""


def half_type(pair: Pair) -> str:
    for a, name, b, side in pair.ways():
        for word, rounded in HALF.items():
            if np.array_equal(rounded(a), b, equal_nan=True):
                return f"{side} is {name} rounded to {word}: a cast, or autocast?"
            near = (_difference(a, b) <= RTOL[word] * _largest(a, b)).all() and (a == b).mean() < 0.5
            if near and np.array_equal(rounded(b), b, equal_nan=True):
                return f"{side} has only numbers of {word}, as near as these come: computed in {word} (autocast)?"
    return ""


def _bfloat16(a: np.ndarray) -> np.ndarray:
    """Rounded to the nearest, a tie to the even one."""
    bits = a.astype(np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + (bits >> 16 & 1)) & np.uint32(0xFFFF0000)
    return np.where(np.isfinite(a), rounded.view(np.float32).astype(np.float64), a)


HALF: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "bfloat16": _bfloat16,  # these come first: most of them are float16 numbers too
    "float16": lambda a: a.astype(np.float16).astype(np.float64),
}


def zero_but_for_rounding(pair: Pair) -> str:
    if not 0 < max(pair.first.size, pair.second.size) <= pair.type_rtol * pair.beside or pair.off == math.inf:
        return ""
    return (
        f"next to nothing beside the largest gradient, {pair.beside:.2g}: 0 but for rounding, as a bias's is before "
        f"a normalisation? Then give atol={_power_above(pair.off):g}"
    )


def grown_rounding(pair: Pair) -> str:
    if pair.off > 16 * pair.allowed or not pair.type_rtol:
        return ""
    return f"rounding that grew through the layers? Then give rtol={_power_above(pair.off / _largest(*pair.arrays)):g}"


def _power_above(number: float) -> float:
    return 10.0 ** math.ceil(math.log10(number))


def past_the_lengths(pair: Pair) -> str:
    a, _ = pair.arrays
    for rows, time in ((0, 1), (1, 0)) if a.ndim > 1 else ():
        apart = np.moveaxis(pair.parting, (rows, time), (0, 1)).reshape(a.shape[rows], a.shape[time], -1).any(2)
        for k, lengths in enumerate(pair.batch):
            if (
                not isinstance(lengths, np.ndarray)
                or lengths.shape != (a.shape[rows],)
                or lengths.dtype.kind not in "iu"
            ):
                continue
            inside = np.arange(a.shape[time]) < lengths[:, None]  # (batch, time)
            if inside.any() and not (apart & inside).any():
                return f"equal inside the lengths in argument {k}: is padding masked alike?"
    return ""


def _is_lengths(part: Any) -> bool:
    return isinstance(part, np.ndarray) and part.ndim == 1 and part.dtype.kind in "iu"


def some_entries(pair: Pair) -> str:
    """Equal but for some rows, frames or columns."""
    words = []
    for axis, apart in enumerate(pair.parting.nonzero() if pair.parting.ndim else ()):
        which, size = np.unique(apart), pair.arrays[0].shape[axis]
        if len(which) < size:
            behind = axis > 0 and len(which) > 1 and which[0] == size - len(which)
            span = f"from {which[0]} on" if behind else f"at {_spans(which)}"
            words.append(
                f"in rows {_spans(which)} (of {size})" if axis == 0 else f"{span} (of {size}) along axis {axis}"
            )
    return f"equal except {', '.join(words)}: are padding, masks and lengths treated alike?" if words else ""


def nearly(pair: Pair) -> str:
    largest = _largest(*pair.arrays)
    if pair.off > 2**-7 * largest:
        return ""
    digits = -math.log10(pair.off / largest)
    return (
        f"equal to {digits:.0f} digits: a lower precision inside (TF32, autocast), another epsilon in a normalisation, "
        "an approximate activation (GELU)?"
    )


CAUSES_OF_SHAPES: tuple[Callable[[Pair], str], ...] = (axes_in_another_order, axes_of_one, reshaped, cut)

CAUSES: tuple[Callable[[Pair], str], ...] = (
    within_the_type,
    not_finite,
    zero,
    axes_in_another_order,
    sign,
    factor,
    reversed_axis,
    rolled,
    permuted,
    function_of_the_other,
    offset,
    half_type,
    zero_but_for_rounding,
    grown_rounding,
    past_the_lengths,
    some_entries,
    nearly,
)
"""What is tried on arrays of one shape, in this order: what explains every entry comes first."""


def _spans(numbers: Iterable[int], most: int = 8) -> str:
    """1, 2, 3, 7 as "1-3, 7"; what is over is "..."."""
    spans: list[list[int]] = []
    for number in map(int, numbers):
        if spans and number in (spans[-1][1], spans[-1][1] + 1):
            spans[-1][1] = number
        else:
            spans.append([number, number])
    words = [f"{low}" if low == high else f"{low}-{high}" for low, high in spans]
    return ", ".join([*words[:most], *(["..."] if len(words) > most else [])])


def _once(both: Sequence[Any]) -> str:
    """What two sides have; once if it is the same."""
    return f"{both[0]}" if both[0] == both[1] else f"{both[0]} | {both[1]}"
