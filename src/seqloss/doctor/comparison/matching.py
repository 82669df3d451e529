"""Match the names of the tensors of two implementations, in the order of the computation."""

from __future__ import annotations

from collections.abc import Iterable

from seqloss.errors import ShapeError


def match_names(mine: Iterable[str], theirs: Iterable[str], sides: tuple[str, str]) -> list[tuple[str, str]]:
    """Pairs of names in the order of the computation: outputs, the loss, gradients from the last to the first."""
    pairs = [pair for select in (_select_outputs, _select_gradients) for pair in _match(select(mine), select(theirs))]
    if not pairs:
        first, second = (
            f"{side} returns {', '.join(names) or 'nothing'}" for side, names in zip(sides, (mine, theirs), strict=True)
        )
        raise ShapeError(
            f"no tensor in common: {first}; {second}; return the same names, or the same "
            "number of tensors in the same order."
        )
    return pairs


def _match(mine: list[str], theirs: list[str]) -> list[tuple[str, str]]:
    """In order if the numbers are equal and no common name gets another partner; otherwise by name."""
    common = set(mine) & set(theirs)
    in_order = list(zip(mine, theirs, strict=False))
    if len(mine) != len(theirs) or any(n != m and {n, m} & common for n, m in in_order):
        return [(name, name) for name in mine if name in common]
    return in_order


def _select_outputs(names: Iterable[str]) -> list[str]:
    return sorted((name for name in names if not is_gradient(name)), key=lambda name: name == "loss")


def _select_gradients(names: Iterable[str]) -> list[str]:
    return [name for name in names if is_gradient(name)][::-1]


def is_gradient(name: str) -> bool:
    """Whether a tensor is a gradient, by its name."""
    return name == "gradient" or name.startswith("gradient.")
