"""Settings of a model and of its tokenizer that have to agree, or a model trains on the wrong classes."""

from __future__ import annotations

from typing import Any, Protocol

import torch

from seqloss.torch.huggingface import errors

LENGTH_METHODS = ("_get_feat_extract_output_lengths", "_get_subsampling_output_length")
"""The names that the CTC models of transformers have for the number of frames of an input of some length."""


class Tokenizer(Protocol):
    """What is used of a tokenizer of transformers."""

    pad_token_id: int | None

    def __len__(self) -> int: ...

    def convert_ids_to_tokens(self, ids: Any) -> Any: ...


def unwrapped(model: torch.nn.Module) -> torch.nn.Module:
    """The model inside of the wrappers of torch.compile and of DistributedDataParallel."""
    while True:
        inner = getattr(model, "_orig_mod", None) or getattr(model, "module", None)
        if not isinstance(inner, torch.nn.Module):
            return model
        model = inner


def check_model(model: torch.nn.Module) -> None:
    """Raise an `OptionError` for a model whose number of frames is not known."""
    if not hasattr(model, "config") or not any(hasattr(model, name) for name in LENGTH_METHODS):
        raise errors.no_ctc_model(type(model).__name__, LENGTH_METHODS[0])


def check_settings(model: Any, tokenizer: Tokenizer, classes: int | None = None) -> None:
    """Raise an `OptionError` unless the head has a class for each token, and the blank is the padding token.

    Args:
        classes: the last size of the logits, or None before there are any.
    """
    blank, tokens, config = tokenizer.pad_token_id, len(tokenizer), model.config
    if blank is None:
        raise errors.no_padding_token()
    head = getattr(getattr(model, "lm_head", None), "out_features", None)
    for name, found in (("config.vocab_size", config.vocab_size), ("lm_head", head), ("logits", classes)):
        if found is not None and found != tokens:
            missing = tokenizer.convert_ids_to_tokens(range(found, tokens))
            raise errors.wrong_vocabulary(f"model.{name}", found, tokens, missing)
    if config.pad_token_id != blank:
        raise errors.wrong_padding_token(config.pad_token_id, blank, tokenizer.convert_ids_to_tokens(blank))
