"""All faults and all healthy variants; the causes that count as right are fixed here, before the runs."""

from __future__ import annotations

from doctor_trial.fault import Fault
from doctor_trial.faults import controls, data, ledger, loop, loss, round_trip, rows

FAULTS: dict[str, Fault] = {
    fault.name: fault
    for group in (round_trip, data, ledger, rows, loss, loop, controls)
    for fault in group.FAULTS
}  # fmt: skip
