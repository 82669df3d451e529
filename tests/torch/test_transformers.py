"""Models of Hugging Face transformers train through `patch_torch_ctc` as they do with PyTorch's own loss."""

from __future__ import annotations

import copy
import os
import warnings

import pytest
import torch

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from seqloss.torch import functional, patch_torch_ctc

transformers = pytest.importorskip("transformers")

SIZES = {
    "vocab_size": 8, "pad_token_id": 0, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
    "intermediate_size": 16, "conv_dim": (8, 8), "conv_kernel": (8, 4), "conv_stride": (4, 2),
    "num_feat_extract_layers": 2, "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2,
    "mask_time_prob": 0.0, "layerdrop": 0.0, "hidden_dropout": 0.0, "attention_dropout": 0.0, "final_dropout": 0.0,
    "activation_dropout": 0.0, "feat_proj_dropout": 0.0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
MODELS = {
    "Wav2Vec2": {"feat_extract_norm": "layer"},
    "Hubert": {"feat_extract_norm": "layer"},
    "SEW": {"squeeze_factor": 2, "feat_extract_norm": "layer"},
}


def model_of(name: str, **options: object) -> torch.nn.Module:
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**SIZES, **MODELS[name], **options)
    return getattr(transformers, f"{name}ForCTC")(config).train()


def batch() -> dict[str, torch.Tensor]:
    """Two rows of uneven length; the labels are padded with -100."""
    samples = torch.randn(2, 160, generator=torch.Generator().manual_seed(1))
    mask = torch.ones(2, 160, dtype=torch.long)
    samples[1, 110:], mask[1, 110:] = 0, 0
    return {"input_values": samples, "attention_mask": mask, "labels": torch.tensor([[3, 4, 4, 7], [5, 3, -100, -100]])}


def trained(model: torch.nn.Module) -> tuple[torch.Tensor, dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """The loss, all gradients, and the parameters after a step."""
    loss = model(**batch()).loss
    loss.backward()
    gradients = {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    return loss.detach(), gradients, dict(model.named_parameters())


@pytest.mark.parametrize("reduction", ["sum", pytest.param("mean", marks=pytest.mark.long)])
@pytest.mark.parametrize("name", MODELS)
def test_a_model_gets_pytorchs_loss_gradients_and_step(
    name: str, reduction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = model_of(name, ctc_loss_reduction=reduction)
    theirs = copy.deepcopy(ours)
    calls, inner = [], functional.ctc_loss
    monkeypatch.setattr(functional, "ctc_loss", lambda *args: (calls.append(args), inner(*args))[1])
    expected = trained(theirs)
    assert not calls
    with warnings.catch_warnings(action="ignore"), patch_torch_ctc():
        found = trained(ours)
    assert len(calls) == 1
    assert set(found[1]) == set(expected[1])
    assert sum(gradient.abs().sum() > 0 for gradient in found[1].values()) > 10
    torch.testing.assert_close(found, expected)
