"""Loading the state of an optimiser: all checks come first, and nothing is rounded or shared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from torch import Tensor
from torch.optim import Optimizer

from seqloss.errors import ShapeError

Saved = Mapping[str, Any]
Prepared = TypeVar("Prepared")

SAME_MODEL = "load the state of the same model, with its parameters in the same order and groups"


def load_checked(
    optimizer: Optimizer,
    saved: dict[str, Any],
    prepare: Callable[[Saved], Prepared],
    restore: Callable[[Prepared], None],
) -> None:
    """Load as PyTorch does, but first check and convert the state, and finally take what was converted.

    `prepare` changes nothing of the optimiser. It gets what the hooks of a user made of the state, and the hooks of a
    user get what was restored.
    """
    prepared: list[Prepared] = []
    before = optimizer.register_load_state_dict_pre_hook(lambda _, given: prepared.append(prepare(given)))
    after = optimizer.register_load_state_dict_post_hook(lambda _: restore(prepared[-1]), prepend=True)
    with before, after:
        Optimizer.load_state_dict(optimizer, saved)


def check_groups(optimizer: Optimizer, saved: Saved) -> None:
    """Raise unless a state dict has the groups of the optimiser, with as many parameters in each."""
    if not {"state", "param_groups"} <= saved.keys():
        keys = ", ".join(map(repr, saved)) or "nothing"
        raise ShapeError(f"state_dict: expected the keys 'state' and 'param_groups', found {keys}.")
    found, expected = sizes(saved["param_groups"]), sizes(optimizer.param_groups)
    if found != expected:
        raise ShapeError(
            f"state_dict: found groups of {found} parameters, expected groups of {expected}; {SAME_MODEL}."
        )


def sizes(groups: Sequence[Mapping[str, Any]]) -> list[int]:
    return [len(group["params"]) for group in groups]


def entries(optimizer: Optimizer, saved: Saved) -> Iterator[tuple[str, Tensor, Mapping[str, Any]]]:
    """Each parameter that has a state in a state dict: what to call it in a message, the parameter, its state."""
    for number, (group, packed) in enumerate(zip(optimizer.param_groups, saved["param_groups"], strict=True)):
        for position, (param, identity) in enumerate(zip(group["params"], packed["params"], strict=True)):
            if identity in saved["state"]:
                yield f"parameter {position} of group {number}", param, saved["state"][identity]


def check_state(optimizer: Optimizer, saved: Saved, keys: Sequence[str]) -> None:
    """Raise unless each state has these tensors, each of its parameter's shape."""
    for name, param, state in entries(optimizer, saved):
        if state.keys() != set(keys):
            found, expected = ", ".join(map(str, state)), ", ".join(keys)
            optimiser = type(optimizer).__name__
            raise ShapeError(
                f"state_dict: {name} has the entries {found}, expected {expected}; load a state of {optimiser}."
            )
        for key in keys:
            if state[key].shape != param.shape:
                raise wrong_shape(f"{name}, {key}", state[key].shape, param.shape)


def wrong_shape(name: str, found: Sequence[int], expected: Sequence[int]) -> ShapeError:
    return ShapeError(
        f"state_dict: {name}: found shape {tuple(found)}, expected {tuple(expected)}, that of the parameter; "
        f"{SAME_MODEL}."
    )
