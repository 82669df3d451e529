"""How much gradient reaches each layer, as numbers, as a picture, and through Lightning."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from seqloss.doctor import mean_gradients, plot_gradient_flow
from seqloss.doctor.lightning import BlankShare, GradientFlow, blank_share
from seqloss.errors import DTypeError, LabelError, LengthError, OptionError, ShapeError
from seqloss.torch import ctc_loss


def cut_off() -> nn.Sequential:
    """Its first layer gets no gradient."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    model[1](model[0](torch.ones(5, 3)).detach()).square().sum().backward()
    return model


def test_it_is_the_mean_of_the_gradients_sizes_of_weights_alone() -> None:
    model = cut_off()
    found = mean_gradients(model)
    assert list(found) == ["0.weight", "1.weight"]
    assert found["1.weight"] == pytest.approx(float(model[1].weight.grad.abs().mean()))


def test_biases_are_left_out_and_so_is_what_is_not_trained() -> None:
    model = nn.LSTM(3, 4)
    model.weight_hh_l0.requires_grad_(False)
    assert list(mean_gradients(model)) == ["weight_ih_l0"]


@pytest.mark.parametrize("function", [mean_gradients, plot_gradient_flow])
def test_what_is_not_a_module_is_refused(function: Any) -> None:
    with pytest.raises(DTypeError, match=r"model: expected a torch.nn.Module.*, found list; give the network itself: "):
        function([torch.ones(2)])


def test_what_is_not_an_optimizer_is_refused() -> None:
    with pytest.raises(DTypeError, match=r"optimizer: expected a torch.optim.Optimizer, found int; give the optimiser"):
        mean_gradients(nn.Linear(1, 1), 3)  # type: ignore[arg-type]


def test_biases_are_known_by_the_names_of_torchs_own_layers() -> None:
    model = nn.ModuleDict(
        {"attention": nn.MultiheadAttention(4, 2, add_bias_kv=True), "both": nn.LSTM(2, 2, bidirectional=True)}
    )
    model["attention"].bias_scale = nn.Parameter(torch.ones(3, 3))
    assert not [name for name in mean_gradients(model) if "bias" in name and name != "attention.bias_scale"]
    assert "attention.bias_scale" in mean_gradients(model)
    assert "attention.in_proj_weight" in mean_gradients(model)


def test_a_sparse_gradient_counts_what_it_does_not_hold_as_0() -> None:
    sparse, dense = (nn.Embedding(6, 2, sparse=sparse) for sparse in (True, False))
    for layer in (sparse, dense):
        layer(torch.tensor([1, 1, 4])).sum().backward()
    assert mean_gradients(sparse) == mean_gradients(dense) == {"weight": pytest.approx(0.5)}


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
@pytest.mark.parametrize("place", [0, 1])
def test_the_picture_reports_a_non_finite_gradient(wrong: float, place: int, tmp_path: Path) -> None:
    flow = {"first": 0.1, "second": 0.2, ("first", "second")[place]: wrong}
    figure = plot_gradient_flow(flow)
    figure.savefig(tmp_path / "flow.png")
    assert [text.get_text().strip() for text in figure.axes[0].texts] == [f"{wrong}: the gradient is not finite"]


def test_the_picture_reports_a_layer_without_a_gradient() -> None:
    figure = plot_gradient_flow(cut_off())
    told = [text.get_text().strip() for text in figure.axes[0].texts]
    assert told == ["no gradient"]
    widths = [bar.get_width() for bar in figure.axes[0].patches]
    assert widths[0] == 0
    assert widths[1] > 0


def test_a_layer_far_under_the_others_is_blocked() -> None:
    figure = plot_gradient_flow({"first": 1e-9, "second": 1e-2, "third": 1e-5})
    assert [text.get_text().strip() for text in figure.axes[0].texts] == ["blocked: 1.0e-09"]


def test_a_model_without_gradients_is_drawn_all_the_same(tmp_path: Path) -> None:
    plot_gradient_flow(nn.Linear(2, 2)).savefig(tmp_path / "none.png")
    plot_gradient_flow(nn.ReLU()).savefig(tmp_path / "nothing.png")


def test_the_blank_share_counts_frames_in_use_alone() -> None:
    logits = nn.functional.one_hot(torch.tensor([[0, 2, 0, 0], [1, 1, 0, 0]]), 3).float()
    assert blank_share(logits) == 5 / 8
    assert blank_share(logits, torch.tensor([2, 3])) == 2 / 5
    assert blank_share(logits, torch.tensor([2, 3]), blank=-1) == 1 / 5
    assert blank_share(logits, torch.tensor([0, 0])) == 0


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_the_blank_share_of_a_frame_that_is_not_finite_is_nan_but_not_that_of_padding(score: float) -> None:
    logits = torch.zeros(2, 4, 3)
    logits[1, 2] = score
    assert math.isnan(blank_share(logits))
    assert math.isnan(blank_share(logits, [4, 3]))
    assert blank_share(logits, [4, 2]) == 1


def test_a_masked_class_leaves_the_blank_share_as_it_is() -> None:
    logits = torch.zeros(2, 4, 3)
    logits[..., 0] = -math.inf
    assert blank_share(logits) == 0


def test_the_blank_share_takes_lengths_in_every_form_and_empty_batches() -> None:
    logits = nn.functional.one_hot(torch.tensor([[0, 2, 0, 0], [1, 1, 0, 0]]), 3).float()
    for lengths in ([2, 3], np.array([2, 3]), torch.tensor([2, 3], dtype=torch.int32)):
        assert blank_share(logits, lengths) == 2 / 5
    assert blank_share(torch.zeros(0, 4, 3)) == blank_share(torch.zeros(2, 0, 3)) == 0


@pytest.mark.parametrize(
    ("logits", "lengths", "error", "message"),
    [
        (torch.zeros(2, 4, 3), torch.tensor([1.0, 0.5]), DTypeError, "logit_lengths.*: expected integers, found"),
        (torch.zeros(2, 4, 3), torch.tensor([True, True]), DTypeError, "logit_lengths: expected integers, found bool"),
        (torch.zeros(2, 4, 3), torch.tensor([-3, -2]), LengthError, r"logit_lengths\[0\]: found -3, expected 0 to 4"),
        (torch.zeros(2, 4, 3), torch.tensor([4, 9]), LengthError, r"logit_lengths\[1\]: found 9, expected 0 to 4"),
        (torch.zeros(2, 4, 3), torch.tensor([4]), ShapeError, "logit_lengths: expected 2 rows, one for each row"),
        (torch.zeros(4, 3), None, ShapeError, r"logits: expected shape \(batch, time, classes\), found \(4, 3\)"),
        (torch.zeros(2, 4, 3, dtype=torch.int64), None, DTypeError, "logits: expected float16, bfloat16, float32 or"),
        (np.zeros((2, 4, 3)), None, DTypeError, "logits: expected a torch.Tensor, found ndarray"),
    ],
)
def test_the_blank_share_of_arguments_that_do_not_fit_is_refused(
    logits: Any, lengths: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        blank_share(logits, lengths)


class Recogniser(lightning.LightningModule):
    """As somebody would have it."""

    def __init__(self, tells: bool = True) -> None:
        super().__init__()
        self.layer, self.tells = nn.Linear(4, 3), tells

    def training_step(self, batch: torch.Tensor, index: int) -> Any:
        logits = self.layer(batch)
        loss = ctc_loss(logits, torch.ones(len(batch), 1, dtype=torch.int64), reduction="mean")
        return {"loss": loss, "logits": logits.detach()} if self.tells else loss

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(folder: Path, callback: Any, module: Recogniser) -> EventAccumulator:
    trainer = lightning.Trainer(
        max_epochs=2,
        accelerator="cpu",
        callbacks=[callback],
        logger=TensorBoardLogger(folder, name="", version=""),
        log_every_n_steps=1,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    trainer.fit(module, torch.utils.data.DataLoader(torch.randn(12, 5, 4), batch_size=4))
    events = EventAccumulator(str(folder))
    events.Reload()
    return events


def test_tensorboard_has_each_layers_gradient_and_a_picture_an_epoch(tmp_path: Path) -> None:
    events = fit(tmp_path, GradientFlow(every=2), Recogniser())
    assert "gradient/layer.weight" in events.Tags()["scalars"]
    assert all(point.value > 0 for point in events.Scalars("gradient/layer.weight"))
    assert len(events.Scalars("gradient/layer.weight")) == 3  # of six steps
    assert len(events.Images("gradient flow")) == 2


class Two(Recogniser):
    """Two networks, each with an optimizer of its own, by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.other = nn.Linear(4, 3)

    def training_step(self, batch: torch.Tensor, index: int) -> Any:
        for optimizer, layer in zip(self.optimizers(), (self.layer, self.other), strict=True):
            self.toggle_optimizer(optimizer)
            self.manual_backward(layer(batch).square().mean())
            optimizer.step()
            optimizer.zero_grad()
            self.untoggle_optimizer(optimizer)

    def configure_optimizers(self) -> Any:
        return [torch.optim.SGD(layer.parameters(), lr=0.1) for layer in (self.layer, self.other)]


def test_each_of_several_optimizers_shows_what_it_trains(tmp_path: Path) -> None:
    events = fit(tmp_path, GradientFlow(every=2), Two())
    for name in ("layer", "other"):
        points = events.Scalars(f"gradient/{name}.weight")
        assert len(points) == 3, name  # of six steps
        assert all(point.value > 0 for point in points), name


class Broken(Recogniser):
    """Its gradient is NaN."""

    def training_step(self, batch: torch.Tensor, index: int) -> Any:
        return self.layer(batch).sum() * math.nan


def test_a_gradient_that_is_no_number_does_not_end_the_training(tmp_path: Path) -> None:
    events = fit(tmp_path, GradientFlow(every=1), Broken())
    assert len(events.Images("gradient flow")) == 2


class Skipping(Recogniser):
    """Leaves out every second batch, as Lightning allows."""

    def training_step(self, batch: torch.Tensor, index: int) -> Any:
        return super().training_step(batch, index) if index % 2 == 0 else None


def test_a_step_that_was_left_out_is_not_counted(tmp_path: Path) -> None:
    assert len(fit(tmp_path, BlankShare(), Skipping()).Scalars("blank_share")) >= 4


def test_a_blank_that_is_not_a_class_is_refused() -> None:
    with pytest.raises(LabelError, match="blank: found 9, expected -4 to 3"):
        blank_share(torch.zeros(1, 2, 4), blank=9)


def test_tensorboard_has_the_blank_share(tmp_path: Path) -> None:
    events = fit(tmp_path, BlankShare(), Recogniser())
    assert len(events.Scalars("blank_share")) == 6
    assert all(0 <= point.value <= 1 for point in events.Scalars("blank_share"))


def test_a_step_without_logits_raises_with_what_to_return(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="training_step returned no logits"):
        fit(tmp_path, BlankShare(), Recogniser(tells=False))


def test_looks_must_be_a_number_of_steps_apart() -> None:
    with pytest.raises(OptionError, match="every: found 0"):
        GradientFlow(every=0)
