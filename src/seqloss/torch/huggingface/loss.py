"""The loss function of a Trainer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import torch

from seqloss.torch.ctc.loss import ctc_loss
from seqloss.torch.huggingface import errors
from seqloss.torch.huggingface.frames import FramesInUse
from seqloss.torch.huggingface.labels import (
    check_label_values,
    check_labels,
    warn_of_unknown_tokens,
    without_padding,
)
from seqloss.torch.huggingface.settings import Tokenizer, check_model, check_settings, unwrapped

Outputs: TypeAlias = Mapping[str, Any] | tuple[Any, ...]
"""What a model of transformers returns, with `return_dict=False` a tuple that starts with the logits."""


class CTCTrainerLoss:
    """Give the Trainer of Hugging Face transformers a CTC loss that is the same under gradient accumulation.

    The loss is the sum of the losses of all rows, divided by the number of labels of all accumulation steps and
    processes. K accumulation steps of a batch have the gradient of one batch that is K times as large.

        loss = sum_{rows r} -log p(labels_r | logits_r) / num_items_in_batch

    The frames in use come from the attention mask of the model's last forward pass: the object registers a forward
    pre-hook on the model. Without an attention mask all frames are in use, as in transformers. The blank is the padding
    token. `model.config.ctc_zero_infinity` sets whether rows without a path count as 0 or inf; their gradient is 0 in
    both cases. `model.config.ctc_loss_reduction` is not used.

    Give the object to `Trainer(compute_loss_func=...)`.

    Args:
        model: a CTC model of transformers, for example Wav2Vec2ForCTC; the one that the Trainer trains. It may be
            wrapped by DistributedDataParallel or torch.compile.
        tokenizer: the tokenizer that made the labels, or the processor that holds it.

    Raises:
        OptionError: the model is no CTC model; its head has more or fewer classes than the tokenizer has tokens; the
            tokenizer has no padding token, or `model.config.pad_token_id` is another one. The message names the setting
            to change.

    Example:
        >>> from types import SimpleNamespace
        >>> import torch
        >>> from seqloss.torch.huggingface import CTCTrainerLoss
        >>> class Model(torch.nn.Module):  # stands for Wav2Vec2ForCTC
        ...     config = SimpleNamespace(vocab_size=3, pad_token_id=0, ctc_zero_infinity=False)
        ...     def _get_feat_extract_output_lengths(self, samples):
        ...         return samples // 320
        ...     def forward(self, input_values, attention_mask=None):
        ...         return {"logits": torch.zeros(1, 2, 3)}
        >>> class Tokenizer(list):
        ...     pad_token_id = 0
        >>> model, tokenizer = Model(), Tokenizer(["<pad>", "a", "b"])
        >>> compute_loss_func = CTCTrainerLoss(model, tokenizer)  # Trainer(..., compute_loss_func=compute_loss_func)
        >>> outputs = model(torch.zeros(1, 640), attention_mask=torch.ones(1, 640))
        >>> compute_loss_func(outputs, torch.tensor([[1, -100]]), num_items_in_batch=1)  # three of nine paths: log 3
        tensor(1.0986)
    """

    def __init__(self, model: torch.nn.Module, tokenizer: Tokenizer) -> None:
        self.model = unwrapped(model)
        self.tokenizer: Tokenizer = getattr(tokenizer, "tokenizer", tokenizer)
        check_model(self.model)
        check_settings(self.model, self.tokenizer)
        self._frames = FramesInUse(self.model)
        self._seen_labels = False

    def __call__(
        self, outputs: Outputs, labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        """Compute the loss of a batch, right after the model's forward pass.

        Args:
            outputs: what the model returned; `outputs["logits"]` has shape (batch, time, classes).
            labels: token numbers, integers, shape (batch, labels), padded with -100.
            num_items_in_batch: number of labels of all accumulation steps and processes; None for that of `labels`.

        Returns:
            The loss in nats per label, a scalar; float32, or float64 for float64 logits.

        Raises:
            OptionError: the settings of model and tokenizer do not agree; the model has not run since the last call;
                the Trainer runs torch.nn.DataParallel.
            DTypeError: the labels are missing or are not integers.
            ShapeError: the labels have another shape, or the model's last batch had another size.
            LabelError: a label is the padding token, or no token. On an accelerator this is checked for the first batch
                only; the loss is NaN in a later one.

        Warns:
            SeqLossWarning: at least half of the labels of the first batch are the unknown token.

        Example:
            >>> from types import SimpleNamespace
            >>> import torch
            >>> from seqloss.torch.huggingface import CTCTrainerLoss
            >>> class Model(torch.nn.Module):
            ...     config = SimpleNamespace(vocab_size=2, pad_token_id=0, ctc_zero_infinity=False)
            ...     def _get_feat_extract_output_lengths(self, samples):
            ...         return samples
            ...     def forward(self, input_values):
            ...         return {"logits": torch.zeros(2, 1, 2)}
            >>> class Tokenizer(list):
            ...     pad_token_id = 0
            >>> model = Model()
            >>> compute_loss_func = CTCTrainerLoss(model, Tokenizer(["<pad>", "a"]))
            >>> compute_loss_func(model(None), torch.tensor([[1], [1]]))  # -log 1/2 for each of two labels
            tensor(0.6931)
        """
        logits = logits_of(outputs)
        check_settings(self.model, self.tokenizer, logits.shape[-1])
        check_labels(labels)
        self._check_values(labels)
        config: Any = self.model.config
        frames = self._frames.take(logits)
        targets, counts = without_padding(labels.to(logits.device))
        total = ctc_loss(
            logits, targets, frames, counts, blank=config.pad_token_id, reduction="sum",
            infeasible="zero" if getattr(config, "ctc_zero_infinity", False) else "inf",
        )  # fmt: skip
        return total / divisor(num_items_in_batch, counts)

    def _check_values(self, labels: torch.Tensor) -> None:
        """Labels on an accelerator are waited for only once."""
        if labels.device.type == "cpu" or not self._seen_labels:
            check_label_values(labels, int(self.tokenizer.pad_token_id or 0), len(self.tokenizer))
        if not self._seen_labels:
            warn_of_unknown_tokens(labels, getattr(self.tokenizer, "unk_token_id", None))
        self._seen_labels = True


def logits_of(outputs: Any) -> torch.Tensor:
    return outputs["logits"] if isinstance(outputs, Mapping) else outputs[0]


def divisor(num_items_in_batch: torch.Tensor | int | None, counts: torch.Tensor) -> torch.Tensor:
    """The number of labels to divide by, at least 1; a Trainer that runs DataParallel gives one for each device."""
    items = counts.sum() if num_items_in_batch is None else torch.as_tensor(num_items_in_batch)
    if items.numel() != 1:
        raise errors.data_parallel(items.numel())
    return items.reshape(()).to(counts.device).clamp(min=1)
