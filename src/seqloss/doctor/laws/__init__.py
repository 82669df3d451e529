"""Laws that every healthy training keeps, checked by doing; one file each.

A law is a function from a `Subject` to findings. It raises `NotChecked` where it does not apply. Its tolerance covers
rounding only: no threshold was fitted to trainings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from seqloss.doctor.findings import Finding
from seqloss.doctor.subject import Subject

Law = Callable[[Subject], Iterator[Finding]]


def laws() -> dict[str, Law]:
    """All laws by name, in the order in which they are checked."""
    from seqloss.doctor.laws import (
        ahead,
        batch_size,
        checkpoint,
        classes,
        embeddings,
        frames,
        input_range,
        inputs,
        ledger,
        lengths,
        loaded_texts,
        locality,
        loss,
        memory,
        mode,
        order,
        outputs,
        padding,
        pairing,
        pairs,
        rates,
        repeats,
        round_trip,
        rows,
        schedule,
        second_process,
        target_range,
    )

    return {
        "ledger": ledger.check,
        "mode": mode.check,
        "rows": rows.check,
        "padding": padding.check,
        "pairing": pairing.check,
        "locality": locality.check,
        "lengths": lengths.check,
        "ahead": ahead.check,
        "memory": memory.check,
        "pairs": pairs.check,
        "outputs": outputs.check,
        "loss": loss.check,
        "batch size": batch_size.check,
        "schedule": schedule.check,
        "round trip": round_trip.check,
        "loaded texts": loaded_texts.check,
        "classes": classes.check,
        "embeddings": embeddings.check,
        "frames": frames.check,
        "rates": rates.check,
        "inputs": inputs.check,
        "input range": input_range.check,
        "target range": target_range.check,
        "repeats": repeats.check,
        "order": order.check,
        "checkpoint": checkpoint.check,
        "second process": second_process.check,
    }
