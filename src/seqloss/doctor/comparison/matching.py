"""Which names of two sides are one place, and in which order places are computed."""

from __future__ import annotations

from collections.abc import Iterable

from seqloss.errors import ShapeError


def matched(mine: Iterable[str], theirs: Iterable[str], sides: tuple[str, str]) -> list[tuple[str, str]]:
    """Pairs of names in the order of computation: outputs, the loss, gradients from the last to the first."""
    pairs = [pair for part in (_forward, _backward) for pair in _partners(part(mine), part(theirs))]
    if not pairs:
        first, second = (
            f"{side} returns {', '.join(names) or 'nothing'}" for side, names in zip(sides, (mine, theirs), strict=True)
        )
        raise ShapeError(
            f"no place in common: {first}; {second}; give both the same names, or equally many places in one order."
        )
    return pairs


def _partners(mine: list[str], theirs: list[str]) -> list[tuple[str, str]]:
    """In order if they are equally many, unless this gives a name that both have another partner; else by name."""
    common = set(mine) & set(theirs)
    in_order = list(zip(mine, theirs, strict=False))
    if len(mine) != len(theirs) or any(n != m and {n, m} & common for n, m in in_order):
        return [(name, name) for name in mine if name in common]
    return in_order


def _forward(names: Iterable[str]) -> list[str]:
    return sorted((name for name in names if not is_gradient(name)), key=lambda name: name == "loss")


def _backward(names: Iterable[str]) -> list[str]:
    return [name for name in names if is_gradient(name)][::-1]


def is_gradient(name: str) -> bool:
    return name == "gradient" or name.startswith("gradient.")
