"""The errors of `CTCTrainerLoss`: each names the setting of transformers to change, and its value."""

from __future__ import annotations

from collections.abc import Sequence

from seqloss.errors import DTypeError, LabelError, OptionError, ShapeError


def no_ctc_model(found: str, method: str) -> OptionError:
    return OptionError(
        f"model: found {found}, expected a CTC model of transformers, which has `config` and `{method}`; for another "
        "model define this method: it takes the lengths of the inputs and returns the numbers of frames."
    )


def no_padding_token() -> OptionError:
    return OptionError(
        "tokenizer.pad_token: found None, expected a token, which is CTC's blank; name one, for example with "
        'tokenizer.add_special_tokens({"pad_token": "<pad>"}), before you make the model.'
    )


def wrong_vocabulary(name: str, found: int, tokens: int, missing: Sequence[str]) -> OptionError:
    without = f" It has no class for {', '.join(map(repr, missing[:5]))}." if missing else ""
    return OptionError(
        f"{name}: found {found} classes, expected {tokens}, the tokenizer's length.{without} Make the model with "
        f"vocab_size={tokens} (from_pretrained(..., vocab_size={tokens}, ignore_mismatched_sizes=True) makes a new "
        "head), or load the tokenizer that the model was trained with."
    )


def wrong_padding_token(found: int | None, blank: int, token: str) -> OptionError:
    return OptionError(
        f"model.config.pad_token_id: found {found}, expected {blank}, the tokenizer's {token!r}, which is CTC's blank; "
        f"make the model with pad_token_id={blank}, or set model.config.pad_token_id = {blank}."
    )


def wrong_token(row: int, position: int, found: int, classes: int, blank: int) -> LabelError:
    if found == blank:
        cause = (
            "this is the padding token, which is CTC's blank: the data collator has to replace it, "
            f"labels = labels.masked_fill(labels == {blank}, -100); if it is a label, make another token "
            "the blank, with tokenizer.pad_token and model.config.pad_token_id"
        )
    else:
        cause = "encode the texts with the tokenizer that the loss was given"
    return LabelError(
        f"labels[{row}, {position}]: found {found}, expected a token from 0 to {classes - 1} other than {blank}, or "
        f"-100 for padding; {cause}."
    )


def no_labels() -> DTypeError:
    return DTypeError(
        'labels: found None, expected a tensor of integers; let the data collator return "labels", and set '
        "remove_unused_columns=False in TrainingArguments if it reads other columns of the dataset."
    )


def no_forward_pass() -> OptionError:
    return OptionError(
        "model: the model that the loss was given has not run since the last loss; give the Trainer's own model, "
        "trainer.compute_loss_func = CTCTrainerLoss(trainer.model, tokenizer), and call the loss once for each forward "
        "pass."
    )


def wrong_mask(found: int, rows: int) -> ShapeError:
    return ShapeError(
        f"attention_mask: found {found} rows in the model's last forward pass, expected {rows}, one for each row of "
        "logits; call the loss right after the model."
    )


def data_parallel(devices: int) -> OptionError:
    return OptionError(
        f"num_items_in_batch: found {devices} numbers, expected one: the Trainer runs torch.nn.DataParallel on that "
        f"many devices; start the script with torchrun --nproc-per-node {devices}, or with CUDA_VISIBLE_DEVICES=0."
    )
