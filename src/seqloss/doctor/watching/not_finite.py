"""The first layer whose output is not finite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from seqloss.doctor.findings import Finding
from seqloss.doctor.subject import Loss
from seqloss.doctor.watching.apart import apart
from seqloss.doctor.watching.copies import on_copies

CODE = """\
with torch.autograd.set_detect_anomaly(True):
    loss(model, batch).backward()
"""


def check(model: nn.Module, whole: nn.Module, loss: Loss, batch: Any, value: float, number: int) -> Iterator[Finding]:
    """Name the first layer, or the weights, behind a loss that is not finite.

    Args:
        model: that is trained.
        whole: the module whose buffers and attributes the loss may change.
        loss: called with (model, batch).
        batch: of this loss.
        value: of the loss.
        number: of the step.
    """
    weights = [name for name, weight in model.named_parameters() if not bool(weight.isfinite().all())]
    found = _first_layer(model, whole, loss, batch)
    evidence: dict[str, Any] = {"step": number, "loss": value}
    if weights:
        cause = "weights are not finite any more: an earlier step had a gradient that was not finite, or was too large"
        fix = "Clip gradients, use a smaller learning rate, and skip steps whose gradient is not finite"
        evidence["weights"] = weights
    elif found:
        cause = f"the output of {found[0]} is not finite" + (", as its input is" if found[1] else "")
        fix = "Look at this layer's input: seqloss.doctor.layers(model) records it; check the data of this batch"
        evidence["layer"] = found[0]
    else:
        cause = "outputs of all layers are finite, and the loss is not: targets do not fit, or it takes a log of 0"
        fix = "Check lengths and labels of this batch: seqloss.torch.ctc_check names the rows of CTC"
    yield Finding("loss-not-finite", "error", evidence, cause, fix, CODE)


def _first_layer(model: nn.Module, whole: nn.Module, loss: Loss, batch: Any) -> tuple[str, bool] | None:
    """Its name, and whether its input was not finite either."""
    found: list[tuple[str, bool]] = []

    def look(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if not found and not _is_finite(output):
                found.append((name, not _is_finite(inputs)))

        return hook

    handles = [module.register_forward_hook(look(name or "the model")) for name, module in model.named_modules()]
    try:
        with apart(whole, loss), torch.no_grad(), suppress(Exception):
            on_copies(loss)(model, batch)
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else None


def _is_finite(found: Any) -> bool:
    """-inf is a usual mask, and counts as finite."""
    if isinstance(found, Tensor):
        return not found.is_floating_point() or bool((found.isfinite() | found.isneginf()).all())
    return all(map(_is_finite, found)) if isinstance(found, tuple | list) else True
