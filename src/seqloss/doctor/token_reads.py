"""How often a model looks up tokens, and what it returns if only one of these looks sees other ones.

An autoencoder with a decoder reads its targets twice: the encoder all of them, the decoder those before each step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from seqloss.doctor.subject import Subject


def outputs_of_each_read(subject: Subject, plain: Any, changed: Any) -> Iterator[Mapping[str, Tensor]]:
    """The outputs for a changed batch; if several embeddings, or calls of one, see the change, for each of them alone.

    Args:
        subject: with the model.
        plain: a batch.
        changed: the same with other tokens.
    """
    before, after = _reads(subject, plain), _reads(subject, changed)
    places = [
        place for place, (one, other) in enumerate(zip(before, after, strict=False)) if not torch.equal(one, other)
    ]
    if len(places) < 2 or len(before) != len(after):
        yield subject.call(changed).outputs
        return
    for place in places:
        held = [after[place] if place == other else one for other, one in enumerate(before)]
        with _given(subject.model, held):
            yield subject.call(changed).outputs


def _reads(subject: Subject, batch: Any) -> list[Tensor]:
    """The tokens of each call of an embedding."""
    seen: list[Tensor] = []
    with ExitStack() as hooks:
        for module in _embeddings(subject.model):
            hooks.enter_context(module.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].clone())))
        subject.call(batch)
    return seen


@contextmanager
def _given(model: nn.Module, tokens: Sequence[Tensor]) -> Iterator[None]:
    """In the block, calls of embeddings get these tokens, one after the other."""
    following = iter(tokens)
    with ExitStack() as hooks:
        for module in _embeddings(model):
            hooks.enter_context(module.register_forward_pre_hook(lambda module, inputs: (next(following),)))
        yield


def _embeddings(model: nn.Module) -> list[nn.Embedding]:
    return [module for module in model.modules() if isinstance(module, nn.Embedding)]
