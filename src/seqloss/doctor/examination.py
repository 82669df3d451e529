"""`examine`: check the laws of a training before its first step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from seqloss.doctor.arguments import check_module, check_optimizer
from seqloss.doctor.batches.description import describe_parts
from seqloss.doctor.batches.parts import own_parts
from seqloss.doctor.codec import Decode
from seqloss.doctor.findings import Finding, Findings, describe_error, errors_first
from seqloss.doctor.laws import laws
from seqloss.doctor.snapshot import ModuleState, unchanged
from seqloss.doctor.subject import Loss, NotChecked, Subject
from seqloss.doctor.training_data import SCAN, TEXTS, TrainingData, draw
from seqloss.doctor.watching.apart import apart
from seqloss.errors import OptionError

BATCHES = 2
"""Batches that are used; a weight whose gradient is 0 in one may have one in the next."""


def examine(
    model: nn.Module,
    batches: Iterable[Any],
    loss: Callable[[nn.Module, Any], Any],
    *,
    optimizer: torch.optim.Optimizer | None = None,
    scheduler: Any = None,
    steps: int | None = None,
    vocabulary: Any = None,
    texts: Iterable[str] | None = None,
    decode: Decode | None = None,
    held_out: Iterable[Any] | None = None,
    checkpoint: Mapping[str, torch.Tensor] | None = None,
    scan: int = SCAN,
    seconds: float = 30.0,
    progress: Callable[[str], None] | None = None,
) -> Findings:
    """Find out before training why a model will not learn.

    Laws that every healthy training keeps are checked by doing: rows are run alone and with more padding, targets are
    exchanged, a step of the optimiser is tried. Afterwards model, optimiser, schedule and random states are as before,
    to the bit.

    Args:
        model: on any device.
        batches: a loader, or some batches: tensors, tuples, dicts, dataclasses. Most laws use the first two.
        loss: called with (model, batch); returns a scalar with its graph, or a tuple or mapping that begins with it.
            It must call the given model itself.
        optimizer: of the training.
        scheduler: of the learning rate, from torch.optim.lr_scheduler.
        steps: calls of scheduler.step() in the whole training.
        vocabulary: text to ids and back: a seqloss.data.Vocabulary, a tokenizer with encode and decode, a pair of
            functions (encode, decode), or a function without arguments that makes one of these.
        texts: of the training, as they are written, before a loader changes them.
        decode: called with the ids of several rows, returns their texts, as the training's error rate does it. Default:
            the vocabulary decodes each row.
        held_out: a loader, or some batches, of data that is not trained on.
        checkpoint: state dict that the model was meant to begin with.
        scan: the laws of data look at so many batches at most, for a few seconds.
        seconds: laws that would begin later are not checked, and named.
        progress: called with the name of each law before it is checked.

    Returns:
        Findings, errors first; falsy if nothing was found.

    Raises:
        DTypeError: the model is not a torch.nn.Module, the optimizer no torch.optim.Optimizer, or the loss no tensor.
        ShapeError: the loss has not exactly one number, or it is an empty tuple or mapping; also a TypeError.
        OptionError: there is no batch, or the model has lazy layers that were never called.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from seqloss.doctor import examine
        >>> model = nn.Linear(3, 1)
        >>> batch = (torch.randn(8, 3), torch.randn(8))
        >>> findings = examine(model, [batch], lambda model, batch: (model(batch[0]) - batch[1]).square().mean())
        >>> findings.names  # (8, 1) - (8,) has 64 entries
        ['targets-not-paired']
    """
    check_module(model, "examine(model, batches, loss)")
    if optimizer is not None:
        check_optimizer(optimizer, "examine(model, batches, loss, optimizer=optimizer)")
    if any(is_lazy(one) for one in [*model.parameters(), *model.buffers()]):
        raise OptionError(
            "model: found lazy layers without weights, expected weights; call it once with a batch before."
        )
    scanned = draw(batches, max(scan, BATCHES), least=BATCHES)
    if not scanned:
        raise OptionError("batches: found none, expected at least one batch.")
    data = TrainingData(
        vocabulary, () if texts is None else tuple(islice(texts, TEXTS)), decode, scanned,
        None if held_out is None else draw(held_out, scan), batches, checkpoint,
    )  # fmt: skip
    subject = Subject(model, scanned[:BATCHES], _with_own_batch(loss), optimizer, scheduler, steps, data)
    with apart(model, loss), unchanged(model, optimizer):
        subject.begin = ModuleState(model)
        subject.call(subject.batches[0])  # an error of the loss itself is the caller's to see
    return _check_laws(subject, loss, seconds, progress)


def _with_own_batch(loss: Loss) -> Loss:
    """The loss, each call with a batch of its own: it may take a part out of it, or change a tensor in place."""
    return lambda model, batch: loss(model, own_parts(batch))


def _check_laws(subject: Subject, loss: Loss, seconds: float, progress: Callable[[str], None] | None) -> Findings:
    found: list[Finding] = []
    checked: list[str] = []
    not_checked: dict[str, str] = {}
    end = time.perf_counter() + seconds
    for name, law in laws().items():
        if time.perf_counter() > end:
            not_checked[name] = f"{seconds:g} seconds were over"
            continue
        if progress:
            progress(name)
        try:
            with apart(subject.model, loss), unchanged(subject.model, subject.optimizer):
                found.extend(law(subject))  # one by one: what was found stays if the law fails later
            checked.append(name)
        except NotChecked as reason:
            not_checked[name] = str(reason)
        except Exception as error:  # the model refuses a batch of one row, for example
            not_checked[name] = describe_error(error)
    batch = describe_parts(subject.batches[0])
    return Findings(errors_first(found), tuple(checked), not_checked, batch)
