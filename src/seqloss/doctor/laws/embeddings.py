"""Tokens as embeddings get them: none is frozen that has a meaning, and no row begins with two begin tokens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from seqloss.doctor.findings import Finding
from seqloss.doctor.subject import NotChecked, Subject

LEAST = 4
"""Rows from which on it is no chance that all begin alike."""


def check(subject: Subject) -> Iterator[Finding]:
    layers = {name: layer for name, layer in subject.model.named_modules() if isinstance(layer, nn.Embedding)}
    if not layers:
        raise NotChecked("the model has no embedding")
    with _given(layers) as given, torch.no_grad():
        subject.call(subject.batches[0])
    count = subject.rows().count
    for name, layer in layers.items():
        ids = [_by_row(x, count) for x in given[name]]
        rows = next((x for x in ids if x is not None), None)
        if rows is None:
            continue
        yield from _check_frozen(subject, name, layer, rows)
        yield from _check_begin(name, rows)


def _by_row(x: Tensor, count: int) -> Tensor | None:
    if x.dim() != 2 or count not in x.shape:
        return None
    return x if len(x) == count else x.T


@contextmanager
def _given(layers: dict[str, nn.Embedding]) -> Iterator[dict[str, list[Tensor]]]:
    seen: dict[str, list[Tensor]] = {name: [] for name in layers}
    with ExitStack() as hooks:
        for name, layer in layers.items():
            hooks.enter_context(layer.register_forward_pre_hook(
                lambda module, inputs, name=name: seen[name].append(inputs[0].detach().clone())
            ))  # fmt: skip
        yield seen


def _check_frozen(subject: Subject, name: str, layer: nn.Embedding, ids: Tensor) -> Iterator[Finding]:
    """Whether the padding of the layer is between other tokens, and the loss depends on it."""
    frozen = layer.padding_idx
    if frozen is None or not layer.weight.requires_grad:
        return
    inside = _inside(ids == frozen)
    if not inside.any():
        return
    with layer.register_forward_pre_hook(lambda module, inputs: setattr(module, "padding_idx", None)):
        loss = subject.call(subject.batches[0]).loss  # `unchanged` puts it back
    gradient = torch.autograd.grad(loss, layer.weight, allow_unused=True)[0]
    if gradient is not None and gradient.to_dense()[frozen].any():
        yield Finding(
            "embedding-row-frozen", "error",
            {"layer": name, "padding_idx": frozen, "within rows": int(inside.sum()), "tokens": ids.numel()},
            "the embedding of a token that occurs within rows stays 0: it is the layer's padding_idx, and gets no "
            "gradient",
            "Set padding_idx to the id that rows are padded with",
            "print((tokens == model.embedding.padding_idx).sum(), tokens)",
        )  # fmt: skip


def _inside(found: Tensor) -> Tensor:
    """Places of a token with other tokens on both sides."""
    others = (~found).long()
    before, after = others.cumsum(1), others.flip(1).cumsum(1).flip(1)
    return found & (before > 0) & (after > 0)


def _check_begin(name: str, ids: Tensor) -> Iterator[Finding]:
    """All rows begin with the same token twice, which occurs nowhere else."""
    if len(ids) < LEAST or ids.shape[1] < 4:
        return
    begin = int(ids[0, 0])
    twice = bool((ids[:, :2] == begin).all()) and not bool((ids[:, 2:] == begin).any())
    if twice and len(ids[:, 2].unique()) > 1:
        yield Finding(
            "begin-token-twice", "error", {"token": begin, "layer": name},
            "all rows that a layer reads begin with the same token twice: the tokenizer writes a begin token, and "
            "the loader or the shift to the right writes another",
            "Remove the first label before labels are shifted", "print(tokens[:, :3])",
        )  # fmt: skip
