"""All faults and all healthy variants; the causes that count as right are fixed here, before the runs."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

from doctor_trial.fault import SCORED, Fault, Patches
from doctor_trial.faults import controls, data, ledger, loop, loss, round_trip, rows

_KNOWN: dict[str, Fault] = {
    fault.name: fault
    for group in (round_trip, data, ledger, rows, loss, loop, controls)
    for fault in group.FAULTS
}  # fmt: skip


def _patches_of(recipe: str) -> dict[str, Patches]:
    """Of a recipe that is scored.

    Raises:
        ValueError: it names a fault that does not exist.
    """
    found: dict[str, Patches] = import_module(f"doctor_trial.patches.{recipe}").PATCHES
    unknown = sorted(set(found) - set(_KNOWN))
    if unknown:
        raise ValueError(f"patches/{recipe}.py: there is no fault {', '.join(unknown)}")
    return found


_SCORED = {recipe: _patches_of(recipe) for recipe in SCORED}
FAULTS: dict[str, Fault] = {
    name: replace(
        fault, patches={**fault.patches, **{recipe: found[name] for recipe, found in _SCORED.items() if name in found}}
    )
    for name, fault in _KNOWN.items()
}
