"""`compare`: every place of two implementations, and the first at which they part."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from seqloss.doctor.comparison.arrays import arrays_of
from seqloss.doctor.comparison.causes import likely_cause
from seqloss.doctor.comparison.matching import is_gradient, matched
from seqloss.doctor.comparison.pair import Pair
from seqloss.doctor.comparison.place import Place, measured
from seqloss.errors import OptionError


def compare(
    first: Callable[..., Any],
    second: Callable[..., Any],
    *batch: Any,
    rtol: float | None = None,
    atol: float = 0.0,
    names: tuple[str, str] = ("first", "second"),
) -> Comparison:
    """Compare two implementations of one model layer by layer: find the first difference and its likely cause.

    Outputs and the loss are compared first, in order, then the gradients from the last to the first: in the order of
    computation. So the first parting is where to look; those after it may follow from it. Rounding grows from layer to
    layer: where the figures grow little by little and then part, give `rtol`.

    Names match if both sides have the same, in the first's order. Otherwise, if there are equally many, they match in
    order, unless this gives a name that both have another partner. Otherwise the common names match, and the others are
    left out. Gradients match among themselves.

    Args:
        first: function of the batch that returns an ordered mapping of name to array, NumPy's or any
            framework's: outputs of layers in order, "loss", and "gradient.<name>". Nested mappings and lists are
            flattened with dots; a tuple or list of arrays is "0", "1" and so on, an array alone "output".
        second: the other function, likewise.
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
        >>> from seqloss.doctor import compare
        >>> rows = np.arange(6.0).reshape(2, 3)
        >>> print(compare(lambda x: {"total": x.sum(1)}, lambda x: {"total": x.mean(1)}, rows))
        parts  total  (2,) float64  off by 8, allowed 1.7e-13
        first and second part at total, place 1 of 1
          worst at [1]: first 12, second 4; off by 8, 0.67 of the largest entry
          likely cause: first is 3 times second; 3 is the size of axis 1 of argument 0: a sum against a mean?
    """
    _check(first, second, rtol, atol, names)
    mine, theirs = arrays_of(first, names[0], batch), arrays_of(second, names[1], batch)
    gradients = [array.largest for side in (mine, theirs) for name, array in side.items() if is_gradient(name)]
    places: list[Place] = []
    for n, m in matched(mine, theirs, names):
        pair = Pair(mine[n], theirs[m], names, rtol, atol, max(gradients) if is_gradient(n) else 0.0, batch)
        place = measured(pair, (n, m))
        parts_first = not place.same and all(earlier.same for earlier in places)
        places.append(replace(place, hint=likely_cause(pair)) if parts_first else place)
    used = [{place.names[side] for place in places} for side in (0, 1)]
    alone = tuple(n for n in mine if n not in used[0]), tuple(m for m in theirs if m not in used[1])
    return Comparison(names, tuple(places), alone)


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
