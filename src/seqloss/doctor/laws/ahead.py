"""A model that predicts the next token does not see it: a decoder's frame is unchanged by its own target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from seqloss.doctor.batches.label_rows import find_label_rows
from seqloss.doctor.batches.parts import Path, replace_parts
from seqloss.doctor.batches.rows import BatchRows
from seqloss.doctor.findings import Finding
from seqloss.doctor.laws.comparing import largest_difference, tolerance
from seqloss.doctor.model_outputs import batch_axes
from seqloss.doctor.subject import NotChecked, Subject
from seqloss.doctor.targets import is_target
from seqloss.doctor.token_reads import outputs_of_each_read

SHIFTS = (1, 2)
"""How far a target can be ahead in the part that the model reads."""

CODE = """\
other = tokens.clone()
other[:, 5] += 1
print((model(tokens) - model(other)).abs().amax((0, 2)))  # 0 before step 5
"""


def check(subject: Subject) -> Iterator[Finding]:
    rows = subject.rows(least=2)
    with torch.no_grad():
        plain = subject.call_and_see(rows.batch)
        axes = batch_axes(subject)
        if sum(x.is_floating_point() and x.dim() == 2 for x in plain.outputs.values()) > 1:
            raise NotChecked("the model has a latent vector, which may know all targets")
        name = next((name for name, x in plain.outputs.items() if name in axes and x.dim() == 3), None)
        parts = [labels for labels in find_label_rows(rows) if labels.path not in rows.concatenated]
        targets = {labels.path: labels.rows for labels in parts if is_target(subject, labels.path, plain.outputs)}
    if name is None or not targets:
        raise NotChecked("no tokens were recognised as targets of the outputs")
    for path, cut in targets.items():
        for read, shift in _readings(subject, path):
            found = _find(subject, path, cut, read, shift, name, plain.outputs, axes[name])
            if found:
                yield Finding(
                    "targets-seen-ahead", "error", found,
                    "the output of a step changes with the token that it has to predict: the model copies it, and "
                    "cannot when it writes on its own",
                    "Use a causal mask, convolutions that read to the left only, and inputs that are shifted by one",
                    CODE,
                )  # fmt: skip
                return


def _readings(subject: Subject, path: Path) -> Iterator[tuple[Path, int]]:
    """Parts that the model may read the targets from, and how far ahead: the targets themselves, or what they are
    when they are shifted."""
    parts = subject.rows().parts
    rows = subject.rows()
    target = rows.rows_first(parts[path])
    yield path, 0
    for other, part in parts.items():
        if other == path or not isinstance(part, Tensor) or part.dim() != 2 or rows.row_axis(part) is None:
            continue
        if part.is_floating_point():
            continue
        part = rows.rows_first(part)
        for shift in SHIFTS:
            size = min(part.shape[1] - shift, target.shape[1])
            ahead, here = part[:, shift : shift + size], target[:, :size]
            used = (here == ahead) | (here < 0)
            changes = size > 2 and len(here.unique()) > 2
            if changes and float(used[:, : max(2, size // 2)].double().mean()) > 0.95:
                yield other, shift


def _find(
    subject: Subject, path: Path, cut: tuple[tuple[int, ...], ...], read: Path, shift: int, name: str,
    outputs: Mapping[str, Tensor], axis: int,
) -> dict[str, object] | None:  # fmt: skip
    """What changes in the frame of a target with what is read there; None if nothing does."""
    rows = subject.rows()
    row = max(range(rows.count), key=lambda one: len(cut[one]))
    for place in sorted({len(cut[row]) // 2, len(cut[row]) // 3}):
        other = _other_value(rows.rows_first(rows.parts[path]), row, place)
        if other is None or place + shift >= rows.rows_first(rows.parts[read]).shape[1]:
            continue
        frame = _frame_of(subject, path, row, place, other, name, outputs, axis)
        if frame is None or place + shift < frame or (place + shift == frame and not _is_forced(subject, path, read)):
            continue
        changed = _changed(rows, read, row, place + shift, other)
        with torch.no_grad():
            each = [found[name] for found in
                    outputs_of_each_read(subject, rows.batch, replace_parts(rows.batch, {read: changed}))]  # fmt: skip
        if any(moved.shape != outputs[name].shape for moved in each):
            continue
        difference = min(
            largest_difference(*(x.select(axis, row)[frame] for x in (moved, outputs[name]))) for moved in each
        )
        if difference > tolerance(outputs):
            return {"row": row, "frame": frame, "its target is token": place, "read as token": place + shift,
                    "relative difference": difference}  # fmt: skip
    return None


def _is_forced(subject: Subject, path: Path, read: Path) -> bool:
    """Whether the targets are read beside another input, as in a decoder: an autoencoder alone may read them."""
    rows = subject.rows()
    return path == read and any(
        isinstance(part, Tensor) and part.dim() > 1 and rows.row_axis(part) is not None and other != path
        and part.dtype != torch.bool and part.shape != rows.parts[path].shape
        for other, part in rows.parts.items()
    )  # fmt: skip


def _other_value(part: Tensor, row: int, place: int) -> int | None:
    """Another token of the same part, from within rows."""
    here = int(part[row, place])
    counts = part[:, 1 : max(2, part.shape[1] // 2)].flatten().tolist()
    return next((one for one in counts if one != here and one > 0), None)


def _changed(rows: BatchRows, path: Path, row: int, place: int, value: int) -> Tensor:
    found: Tensor = rows.parts[path].clone()
    rows.rows_first(found)[row, place] = value
    return found


def _frame_of(
    subject: Subject, path: Path, row: int, place: int, other: int, name: str, outputs: Mapping[str, Tensor], axis: int
) -> int | None:
    """The only frame of a row whose gradient changes with a target, while the outputs are held."""
    rows = subject.rows()
    pair = [_gradient(subject, replace_parts(subject.batches[0], {path: one}), name, outputs)
            for one in (rows.parts[path], _changed(rows, path, row, place, other))]  # fmt: skip
    if pair[0] is None or pair[1] is None:
        return None
    difference = (pair[0] - pair[1]).abs().select(axis, row).sum(-1)
    frames = (difference > 1e-4 * difference.max()).nonzero().flatten().tolist() if difference.any() else []
    return frames[0] if len(frames) == 1 else None


def _gradient(subject: Subject, batch: object, name: str, outputs: Mapping[str, Tensor]) -> Tensor | None:
    leaf = outputs[name].detach().clone().requires_grad_()
    with torch.enable_grad():
        loss = subject.call(batch, change=lambda key, x: leaf if key == name else outputs.get(key, x)).loss
    if not loss.requires_grad:
        return None
    return torch.autograd.grad(loss, leaf, allow_unused=True)[0]
