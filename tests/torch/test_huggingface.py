"""`CTCTrainerLoss`: the loss of a Trainer of Hugging Face transformers."""

from __future__ import annotations

import copy
import json
import math
import os
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from seqloss.errors import DTypeError, LabelError, OptionError, SeqLossWarning, ShapeError
from seqloss.torch.huggingface import CTCTrainerLoss

transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")

TOKENS = ["<pad>", "<unk>", "|", *"abcde"]
SIZES = {
    "vocab_size": 8, "pad_token_id": 0, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
    "intermediate_size": 16, "conv_dim": (8, 8), "conv_kernel": (8, 4), "conv_stride": (4, 2),
    "num_feat_extract_layers": 2, "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2,
    "mask_time_prob": 0.0, "layerdrop": 0.0, "hidden_dropout": 0.0, "attention_dropout": 0.0, "final_dropout": 0.0,
    "activation_dropout": 0.0, "feat_proj_dropout": 0.0, "feat_extract_norm": "layer", "ctc_loss_reduction": "mean",
}  # fmt: skip
FRAMES, LABELS = (160, 110, 140, 60), ("abcde", "a b", "deed", "c")


def model_of(**options: Any) -> Any:
    torch.manual_seed(0)
    return transformers.Wav2Vec2ForCTC(transformers.Wav2Vec2Config(**{**SIZES, **options})).train()


@pytest.fixture
def tokenizer(tmp_path: Path) -> Any:
    return tokenizer_of(tmp_path)


def tokenizer_of(folder: Path, **options: Any) -> Any:
    file = folder / "vocab.json"
    file.write_text(json.dumps({token: number for number, token in enumerate(TOKENS)}))
    return transformers.Wav2Vec2CTCTokenizer(str(file), **{"bos_token": None, "eos_token": None, **options})


def rows_of(tokenizer: Any) -> list[dict[str, torch.Tensor]]:
    """Four rows of uneven samples and labels; one text has a space, which is the token `|`."""
    noise = torch.Generator().manual_seed(1)
    return [
        {"input_values": torch.randn(frames, generator=noise), "labels": torch.tensor(tokenizer(text).input_ids)}
        for frames, text in zip(FRAMES, LABELS, strict=True)
    ]


def collate(rows: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    pad = torch.nn.utils.rnn.pad_sequence
    samples = [row["input_values"] for row in rows]
    return {
        "input_values": pad(samples, batch_first=True),
        "attention_mask": pad([torch.ones(len(row), dtype=torch.long) for row in samples], batch_first=True),
        "labels": pad([row["labels"] for row in rows], batch_first=True, padding_value=-100),
    }


def trainer_of(
    model: Any, tokenizer: Any, folder: Path, loss: Any, rows: int = 4, processes: int = 1, **options: Any
) -> Any:
    """A Trainer that makes one step with all four rows."""
    args = transformers.TrainingArguments(
        output_dir=str(folder), per_device_train_batch_size=rows, gradient_accumulation_steps=4 // (rows * processes),
        max_steps=1, learning_rate=0.1, lr_scheduler_type="constant", optim="sgd", max_grad_norm=0.0,
        save_strategy="no", report_to="none", disable_tqdm=True, use_cpu=True, remove_unused_columns=False, seed=3,
        per_device_eval_batch_size=4, **options,
    )  # fmt: skip
    return transformers.Trainer(
        model, args, collate, rows_of(tokenizer), eval_dataset=rows_of(tokenizer), compute_loss_func=loss
    )


def after_a_step(tokenizer: Any, folder: Path, rows: int, own_loss: bool = False, **options: Any) -> dict[str, Any]:
    model = model_of()
    loss = None if own_loss else CTCTrainerLoss(model, tokenizer)
    trainer_of(model, tokenizer, folder, loss, rows, **options).train()
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}


def largest_difference(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> float:
    """Of the step that the parameters have made: relative to the largest step."""
    start = dict(model_of().named_parameters())
    step = max(float((first[name] - start[name].detach()).abs().max()) for name in first)
    return max(float((first[name] - second[name]).abs().max()) for name in first) / step


@pytest.mark.parametrize("rows", [1, pytest.param(2, marks=pytest.mark.long)])
def test_accumulation_steps_give_the_parameters_of_the_one_big_batch(tokenizer: Any, tmp_path: Path, rows: int) -> None:
    whole = after_a_step(tokenizer, tmp_path, 4)
    parts = after_a_step(tokenizer, tmp_path, rows)
    for name, weight in whole.items():
        torch.testing.assert_close(parts[name], weight, rtol=1e-5, atol=1e-7, msg=name)
    assert largest_difference(whole, parts) < 1e-4


def test_the_models_own_loss_gives_a_step_that_is_as_many_times_too_long(tokenizer: Any, tmp_path: Path) -> None:
    whole, parts = (after_a_step(tokenizer, tmp_path, rows, own_loss=True) for rows in (4, 1))
    assert largest_difference(whole, parts) == pytest.approx(3, rel=1e-3)
    for name, start in model_of().named_parameters():
        torch.testing.assert_close(parts[name] - start, 4 * (whole[name] - start), rtol=1e-3, atol=1e-5)


def plain_loss(model: Any, rows: list[Any], blank: int = 0, zero_infinity: bool = False) -> torch.Tensor:
    """The sum of PyTorch's own losses of single rows without padding, by the number of labels."""
    losses = []
    for row in rows:
        scores = model(row["input_values"][None]).logits.float().log_softmax(2).transpose(0, 1)
        counts = [scores.shape[0]], [len(row["labels"])]
        losses.append(
            torch.nn.functional.ctc_loss(
                scores, row["labels"][None], *counts, blank, reduction="sum", zero_infinity=zero_infinity
            )
        )
    return torch.stack(losses).sum() / sum(len(row["labels"]) for row in rows)


def test_the_loss_of_a_padded_batch_is_that_of_its_rows(tokenizer: Any) -> None:
    model, rows = model_of(), rows_of(tokenizer)
    loss = CTCTrainerLoss(model, tokenizer)
    inputs = collate(rows)
    labels = inputs.pop("labels")
    found = loss(model(**inputs), labels)
    torch.testing.assert_close(found, plain_loss(model, rows))
    torch.testing.assert_close(loss(model(**inputs), labels, torch.tensor([26])), found / 2)
    torch.testing.assert_close(loss(model(**inputs), labels, num_items_in_batch=26), found / 2)


@pytest.mark.long
def test_evaluation_divides_by_the_labels_of_the_batch(tokenizer: Any, tmp_path: Path) -> None:
    model = model_of().eval()
    trainer = trainer_of(model, tokenizer, tmp_path, CTCTrainerLoss(model, tokenizer), prediction_loss_only=True)
    expected = float(plain_loss(model, rows_of(tokenizer)).detach())
    assert trainer.evaluate()["eval_loss"] == pytest.approx(expected, rel=1e-5)
    trainer.compute_metrics = lambda found: {"rows": len(found.predictions)}
    trainer.args.prediction_loss_only = False
    assert trainer.evaluate()["eval_rows"] == 4


def test_labels_may_have_their_padding_anywhere(tokenizer: Any) -> None:
    model, rows = model_of(), rows_of(tokenizer)
    loss = CTCTrainerLoss(model, tokenizer)
    inputs = collate(rows)
    labels = inputs.pop("labels")
    expected = loss(model(**inputs), labels)
    left = torch.stack([row.roll(int((row == -100).sum())) for row in labels])
    between = torch.stack([labels, torch.full_like(labels, -100)], 2).flatten(1)
    assert not torch.equal(left, labels)
    for padded in (left, between):
        assert torch.equal(loss(model(**inputs), padded), expected)


def test_without_a_mask_all_frames_are_in_use_as_in_transformers(tokenizer: Any) -> None:
    model = model_of(ctc_loss_reduction="sum")
    loss = CTCTrainerLoss(model, tokenizer)
    inputs = collate(rows_of(tokenizer))
    own = model(inputs["input_values"], labels=inputs["labels"]).loss
    found = loss(model(inputs["input_values"]), inputs["labels"])
    torch.testing.assert_close(found * 13, own)


def test_a_mask_that_is_given_by_position_is_seen(tokenizer: Any) -> None:
    model, inputs = model_of(), collate(rows_of(tokenizer))
    loss, labels = CTCTrainerLoss(model, tokenizer), inputs.pop("labels")
    expected = loss(model(**inputs), labels)
    assert torch.equal(loss(model(inputs["input_values"], inputs["attention_mask"]), labels), expected)


@pytest.mark.parametrize(("setting", "expected"), [(True, 0.0), (False, math.inf)])
def test_a_row_without_a_path_counts_as_the_config_says_and_has_no_gradient(
    tokenizer: Any, setting: bool, expected: float
) -> None:
    model = model_of(ctc_zero_infinity=setting)
    found = CTCTrainerLoss(model, tokenizer)(model(torch.randn(1, 30)), torch.tensor([[3, 3, 3, 3]]))
    found.backward()
    assert float(found) == expected
    assert all(not w.grad.any() for w in model.parameters() if w.grad is not None)


def test_a_row_that_is_too_short_for_a_frame_has_none(tokenizer: Any) -> None:
    model = model_of(ctc_zero_infinity=True)
    loss = CTCTrainerLoss(model, tokenizer)
    mask = torch.ones(2, 60, dtype=torch.long)
    mask[1, 5:] = 0
    found = loss(model(torch.randn(2, 60), attention_mask=mask), torch.tensor([[3, 4], [3, -100]]))
    assert math.isfinite(float(found))


@pytest.mark.parametrize("options", [{"add_adapter": True, "num_adapter_layers": 1, "output_hidden_size": 16}, {}])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_the_loss_is_transformers_own_sum_also_with_an_adapter_and_in_half_precision(
    tokenizer: Any, options: dict[str, Any], dtype: torch.dtype
) -> None:
    model = model_of(ctc_loss_reduction="sum", **options).to(dtype)
    loss = CTCTrainerLoss(model, tokenizer)
    inputs = collate(rows_of(tokenizer))
    inputs["input_values"] = inputs["input_values"].to(dtype)
    own = model(**inputs).loss
    labels = inputs.pop("labels")
    found = loss(model(**inputs), labels)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found * 13, own, rtol=1e-4, atol=0)


def test_a_tuple_of_outputs_starts_with_the_logits(tokenizer: Any) -> None:
    model = model_of()
    loss, samples, labels = CTCTrainerLoss(model, tokenizer), torch.randn(1, 80), torch.tensor([[3, 4]])
    assert torch.equal(loss(model(samples, return_dict=False), labels), loss(model(samples), labels))


# What wraps and copies a model


def in_ddp(model: Any, folder: Path) -> Any:
    store = torch.distributed.FileStore(str(folder / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    return torch.nn.parallel.DistributedDataParallel(model)


WRAPPERS: dict[str, Callable[[Any, Path], Any]] = {
    "DistributedDataParallel": in_ddp,
    "torch.compile": lambda model, folder: torch.compile(model, backend="eager"),
    "AveragedModel": lambda model, folder: torch.optim.swa_utils.AveragedModel(model),
}


@pytest.mark.long
@pytest.mark.parametrize(
    ("wrapper", "before"),
    [
        ("DistributedDataParallel", True),
        ("DistributedDataParallel", False),
        ("torch.compile", True),
        ("AveragedModel", False),
    ],
)
def test_a_wrapped_models_frames_are_seen(tokenizer: Any, tmp_path: Path, wrapper: str, before: bool) -> None:
    model, inputs = model_of(), collate(rows_of(tokenizer))
    labels = inputs.pop("labels")
    expected = CTCTrainerLoss(model, tokenizer)(model(**inputs), labels)
    try:
        wrapped = WRAPPERS[wrapper](model, tmp_path)
        loss = CTCTrainerLoss(model if before else wrapped, tokenizer)
        for shorter in (0, 10, 0):  # a compiled program is not tied to one batch
            inputs["attention_mask"][1, 110 - shorter :] = 0
            inputs["attention_mask"][1, : 110 - shorter] = 1
            found = loss(wrapped(**inputs), labels)
            assert torch.allclose(found, expected, rtol=1e-5) != bool(shorter)
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        torch.compiler.reset()


@pytest.mark.long
def test_gradient_checkpointing_changes_nothing(tokenizer: Any, tmp_path: Path) -> None:
    plain = after_a_step(tokenizer, tmp_path, 2)
    checkpointed = after_a_step(tokenizer, tmp_path, 2, activation_checkpointing=True)
    torch.testing.assert_close(checkpointed, plain)


@pytest.mark.long
def test_mixed_precision_makes_nearly_the_same_step(tokenizer: Any, tmp_path: Path) -> None:
    plain = after_a_step(tokenizer, tmp_path, 2)
    assert 0 < largest_difference(plain, after_a_step(tokenizer, tmp_path, 2, bf16=True)) < 0.01


IN_TWO_PROCESSES = """
import os, sys, torch
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_huggingface import after_a_step, tokenizer_of
folder = Path(sys.argv[2]) / os.environ["RANK"]
folder.mkdir()
weights = after_a_step(tokenizer_of(folder), folder, 2, processes=2, ddp_backend="gloo")
assert torch.distributed.get_world_size() == 2
torch.save(weights, folder / "weights.pt")
torch.distributed.destroy_process_group()
"""


@pytest.mark.long
def test_two_processes_give_the_parameters_of_the_one_big_batch(tokenizer: Any, tmp_path: Path) -> None:
    script = tmp_path / "two.py"
    script.write_text(IN_TWO_PROCESSES)
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", script]
    done = subprocess.run(
        [sys.executable, *map(str, command), str(Path(__file__).parent), str(tmp_path)],
        capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = [torch.load(tmp_path / rank / "weights.pt") for rank in "01"]
    for name, weight in after_a_step(tokenizer, tmp_path, 4).items():
        torch.testing.assert_close([weights[name] for weights in found], [weight] * 2, rtol=1e-5, atol=1e-7, msg=name)


@pytest.mark.long
def test_label_smoothing_is_not_used(tokenizer: Any, tmp_path: Path) -> None:
    plain = after_a_step(tokenizer, tmp_path, 2)
    torch.testing.assert_close(after_a_step(tokenizer, tmp_path, 2, label_smoothing_factor=0.3), plain)


def test_two_models_do_not_see_each_others_masks(tokenizer: Any) -> None:
    first, inputs = model_of(), collate(rows_of(tokenizer))
    second, labels = copy.deepcopy(first), inputs.pop("labels")
    losses = CTCTrainerLoss(first, tokenizer), CTCTrainerLoss(second, tokenizer)
    outputs = first(**inputs), second(inputs["input_values"])
    found = [loss(output, labels) for loss, output in zip(losses, outputs, strict=True)]
    assert abs(float(found[0] - found[1])) > 1e-3


def test_the_hook_goes_with_the_object_and_a_copied_model_keeps_none_of_it(tokenizer: Any) -> None:
    model = model_of()
    loss = CTCTrainerLoss(model, tokenizer)
    copy.deepcopy(model)(torch.randn(1, 80))
    with pytest.raises(OptionError, match="has not run"):
        loss(model_of()(torch.randn(1, 80)), torch.tensor([[3]]))
    gone = weakref.ref(loss)
    del loss
    assert gone() is None
    assert not model._forward_pre_hooks


# Errors, each followed by what it says


def one_loss(model: Any, tokenizer: Any) -> torch.Tensor:
    """The loss of a batch of one row; finite where the settings agree."""
    labels = torch.tensor([tokenizer("abc").input_ids])
    found = CTCTrainerLoss(model, tokenizer)(model(torch.randn(1, 80)), labels)
    assert math.isfinite(float(found))
    return found


@pytest.mark.parametrize("size", [6, 12])
def test_a_head_of_another_size_than_the_tokenizer_is_named_and_vocab_size_mends_it(
    tokenizer: Any, tmp_path: Path, size: int
) -> None:
    model = model_of(vocab_size=size)
    with pytest.raises(OptionError, match=rf"config\.vocab_size: found {size} classes, expected 8") as error:
        CTCTrainerLoss(model, tokenizer)
    assert ("It has no class for 'd', 'e'." in str(error.value)) == (size == 6)
    assert "vocab_size=8, ignore_mismatched_sizes=True" in str(error.value)
    one_loss(model_of(vocab_size=8), tokenizer)
    model.save_pretrained(tmp_path / "saved")
    one_loss(
        transformers.Wav2Vec2ForCTC.from_pretrained(tmp_path / "saved", vocab_size=8, ignore_mismatched_sizes=True),
        tokenizer,
    )


def test_a_head_that_was_replaced_is_seen_before_and_after_the_loss_is_made(tokenizer: Any) -> None:
    model = model_of()
    loss = CTCTrainerLoss(model, tokenizer)
    model.lm_head = torch.nn.Linear(16, 9)
    with pytest.raises(OptionError, match=r"model\.lm_head: found 9 classes, expected 8"):
        loss(model(torch.randn(1, 80)), torch.tensor([[3]]))
    with pytest.raises(OptionError, match=r"model\.lm_head: found 9"):
        CTCTrainerLoss(model, tokenizer)
    model.lm_head = torch.nn.Sequential(torch.nn.Linear(16, 9))
    with pytest.raises(OptionError, match=r"model\.logits: found 9"):
        loss(model(torch.randn(1, 80)), torch.tensor([[3]]))


def test_tokens_that_were_added_after_the_model_was_made_are_seen(tokenizer: Any) -> None:
    model = model_of()
    loss = CTCTrainerLoss(model, tokenizer)
    tokenizer.add_tokens(["ä"])
    with pytest.raises(OptionError, match=r"expected 9, .* no class for 'ä'.*vocab_size=9"):
        loss(model(torch.randn(1, 80)), torch.tensor([[3]]))
    one_loss(model_of(vocab_size=9), tokenizer)


def test_another_padding_token_than_the_tokenizers_is_named_and_pad_token_id_mends_it(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(tmp_path, pad_token="e")
    model = model_of()
    with pytest.raises(OptionError, match=r"pad_token_id: found 0, expected 7, .*'e'.* pad_token_id=7"):
        CTCTrainerLoss(model, tokenizer)
    one_loss(model_of(pad_token_id=7), tokenizer)
    model.config.pad_token_id = 7
    found = one_loss(model, tokenizer)
    assert torch.isfinite(found)


def test_the_padding_token_is_the_blank(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(tmp_path, pad_token="e")
    model = model_of(pad_token_id=7)
    row = {"input_values": torch.randn(80), "labels": torch.tensor([3, 0, 4])}
    found = CTCTrainerLoss(model, tokenizer)(model(row["input_values"][None]), row["labels"][None])
    torch.testing.assert_close(found, plain_loss(model, [row], blank=7))


def test_a_tokenizer_without_a_padding_token_is_named_and_add_special_tokens_mends_it(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(tmp_path, pad_token=None)
    with pytest.raises(OptionError, match=r'add_special_tokens\({"pad_token": "<pad>"}\), before you make the model'):
        CTCTrainerLoss(model_of(), tokenizer)
    tokenizer.add_special_tokens({"pad_token": "<pad>"})
    one_loss(model_of(vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id), tokenizer)


def test_a_padding_token_among_the_labels_is_named_and_masked_fill_mends_it(tokenizer: Any) -> None:
    model = model_of()
    loss, samples = CTCTrainerLoss(model, tokenizer), torch.randn(2, 80)
    labels = torch.tensor([[3, 4, 5], [4, 0, 0]])
    with pytest.raises(LabelError, match=r"labels\[1, 1\]: found 0, .*labels\.masked_fill\(labels == 0, -100\)"):
        loss(model(samples), labels)
    loss(model(samples), labels.masked_fill(labels == 0, -100))


@pytest.mark.parametrize("token", [8, -1])
def test_a_label_that_is_no_token_is_named(tokenizer: Any, token: int) -> None:
    model = model_of()
    with pytest.raises(LabelError, match=rf"labels\[0, 1\]: found {token}, expected a token from 0 to 7"):
        CTCTrainerLoss(model, tokenizer)(model(torch.randn(1, 80)), torch.tensor([[3, token]]))


def test_labels_that_are_missing_or_no_batch_of_integers_are_named(tokenizer: Any) -> None:
    model = model_of()
    loss = CTCTrainerLoss(model, tokenizer)
    outputs = model(torch.randn(1, 80))
    for labels, message in ((None, "remove_unused_columns"), (torch.zeros(1, 2), "integers"), ([[3]], "integers")):
        with pytest.raises(DTypeError, match=message):
            loss(outputs, labels)
    with pytest.raises(ShapeError, match="-100"):
        loss(outputs, torch.tensor([3]))
    loss(outputs, torch.tensor([[3]]))


def test_labels_that_are_half_unknown_tokens_are_warned_of_once(tokenizer: Any) -> None:
    model = model_of()
    loss, labels = CTCTrainerLoss(model, tokenizer), torch.tensor([tokenizer("ABc").input_ids])
    with pytest.warns(SeqLossWarning, match="67% of the first batch are the tokenizer's unknown token"):
        loss(model(torch.randn(1, 80)), labels)
    loss(model(torch.randn(1, 80)), labels)


def test_a_processor_is_asked_for_its_tokenizer(tokenizer: Any) -> None:
    model = model_of()
    processor = transformers.Wav2Vec2Processor(transformers.Wav2Vec2FeatureExtractor(), tokenizer)
    CTCTrainerLoss(model, processor)(model(torch.randn(1, 80)), torch.tensor([[3]]))


def test_a_trainer_with_another_model_is_named_and_its_own_model_mends_it(tokenizer: Any, tmp_path: Path) -> None:
    trainer = trainer_of(model_of(), tokenizer, tmp_path, CTCTrainerLoss(model_of(), tokenizer))
    with pytest.raises(OptionError, match=r"CTCTrainerLoss\(trainer\.model, tokenizer\)"):
        trainer.train()
    trainer.compute_loss_func = CTCTrainerLoss(trainer.model, tokenizer)
    trainer.train()


def test_a_forward_pass_has_one_loss_and_its_mask_the_rows_of_the_logits(tokenizer: Any) -> None:
    model = model_of()
    loss, samples, labels = CTCTrainerLoss(model, tokenizer), torch.randn(2, 80), torch.tensor([[3], [4]])
    outputs = model(samples)
    loss(outputs, labels)
    with pytest.raises(OptionError, match="once for each forward pass"):
        loss(outputs, labels)
    model(samples[:1], attention_mask=torch.ones(1, 80))
    with pytest.raises(ShapeError, match="found 1 rows in the model's last forward pass, expected 2"):
        loss(outputs, labels)


def test_data_parallel_is_refused(tokenizer: Any) -> None:
    model = model_of()
    with pytest.raises(OptionError, match="torchrun --nproc-per-node 2"):
        CTCTrainerLoss(model, tokenizer)(model(torch.randn(1, 80)), torch.tensor([[3]]), torch.tensor([[1], [1]]))


def test_a_model_that_has_another_name_for_the_frame_counts_is_known() -> None:
    torch.manual_seed(0)
    sizes = {
        "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "layerdrop": 0.0,
        "subsampling_conv_channels": 4, "num_mel_bins": 16, "dropout": 0.0, "attention_dropout": 0.0,
        "activation_dropout": 0.0,
    }  # fmt: skip
    config = transformers.ParakeetCTCConfig(vocab_size=8, pad_token_id=0, encoder_config=sizes)
    config.ctc_loss_reduction = "sum"
    model, mask = transformers.ParakeetForCTC(config), torch.ones(2, 90, dtype=torch.long)
    mask[1, 50:] = 0
    inputs, labels = {"input_features": torch.randn(2, 90, 16), "attention_mask": mask}, torch.tensor([[3, 4], [5, 7]])
    found = CTCTrainerLoss(model, TokenList(TOKENS))(model(**inputs), labels)
    torch.testing.assert_close(found * 4, model(**inputs, labels=labels).loss)


class TokenList(list[str]):
    """What the loss needs of a tokenizer."""

    pad_token_id = 0


def test_a_model_without_frame_counts_is_named_and_the_method_mends_it(tokenizer: Any) -> None:
    inner = model_of()

    class Wrapper(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.config = inner, inner.config

        def forward(self, input_values: torch.Tensor, attention_mask: torch.Tensor | None = None) -> Any:
            return self.inner(input_values, attention_mask)

    with pytest.raises(OptionError, match=r"found Wrapper, expected a CTC model .*_get_feat_extract_output_lengths"):
        CTCTrainerLoss(Wrapper(), tokenizer)
    Wrapper._get_feat_extract_output_lengths = lambda self, n: inner._get_feat_extract_output_lengths(n)
    one_loss(Wrapper(), tokenizer)
