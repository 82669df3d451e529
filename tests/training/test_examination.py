"""Every training is examined before its first step, and keeps what was found."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import nn

from seqloss.doctor.findings import Finding, Findings
from seqloss.recipes.ocr.network import Network
from seqloss.training import engine, examination
from seqloss.training.checkpoints import load_checkpoint
from seqloss.training.examination import describe_findings, examine_training
from seqloss.training.findings import RunFindings, read_findings
from seqloss.training.overfit import overfit
from seqloss.training.run import Run
from seqloss.training.settings import RunOptions

from ..pages import assert_shown

OFF = RunOptions(examine=False)


@pytest.fixture
def with_a_layer_that_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Network.__init__

    def broken(self: Network, *given: Any) -> None:
        plain(self, *given)
        self.extra = nn.ModuleDict({"mask[red]": nn.Linear(3, 3)})

    monkeypatch.setattr(Network, "__init__", broken)


def texts_of_tensorboard(run: Path) -> dict[int, str]:
    """The findings that TensorBoard shows, by step."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "logs"))
    events.Reload()
    names = [name for name in events.Tags()["tensors"] if name.startswith("findings")]
    return {one.step: one.tensor_proto.string_val[0].decode() for name in names for one in events.Tensors(name)}


# --- what is printed and kept


def test_the_examination_is_the_last_of_the_lines_before_the_first_epoch(trained) -> None:
    lines = trained[2]
    first = next(place for place, line in enumerate(lines) if line.startswith("epoch"))
    before = next(place for place, line in enumerate(lines) if line.startswith("    loss before training: "))
    found = read_findings(Run(trained[1]))
    assert found is not None
    assert lines[before + 1 : first] == [f"    {line}" for line in describe_findings(found)]
    assert {"ledger", "rows", "loss", "schedule"} <= set(found.checked)


def test_a_fault_is_named_with_what_to_do_and_the_training_goes_on(
    with_a_layer_that_is_not_called, data: Path, train, tmp_path: Path
) -> None:
    lines: list[str] = []
    result = train(data, tmp_path / "run", epochs=1, examine=True, print_line=lines.append)
    (place,) = (place for place, line in enumerate(lines) if "weights-unused" in line)
    assert lines[place].startswith("    error: weights-unused: the loss does not depend on these weights")
    assert "(weights extra.mask[red].weight, extra.mask[red].bias, of " in lines[place]
    assert lines[place + 1].startswith("        Call the layer in forward, or remove it")
    printed = "\n".join(lines).replace("extra.mask[red]", "extra")
    assert_shown("docs/guides/training-runs.md", "weights-unused", printed)
    assert not any("laws hold" in line for line in lines)
    assert result["epochs"] == 1
    read = json.loads((tmp_path / "run/findings.json").read_text())
    assert read["findings"][0]["name"] == "weights-unused"
    shown = texts_of_tensorboard(tmp_path / "run")
    assert list(shown) == [0]
    assert shown[0].startswith("### error: weights-unused\n")
    assert r"* weights: extra.mask\[red\].weight, " in shown[0]


def test_without_examination_nothing_is_printed_or_kept(data: Path, train, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(engine, "examine_training", lambda *given: pytest.fail("was examined"))
    lines: list[str] = []
    train(data, tmp_path / "run", epochs=1, examine=False, print_line=lines.append)
    assert not any("examined" in line for line in lines)
    assert not (tmp_path / "run/findings.json").exists()
    assert texts_of_tensorboard(tmp_path / "run") == {}


def test_the_quiet_line_names_what_was_not_checked() -> None:
    laws = ("ledger", "mode")
    assert list(describe_findings(Findings((), laws))) == ["examined: 2 laws hold"]
    few = Findings((), laws, {"rows": "the first batch has one row", "loss": "30 seconds were over"})
    assert list(describe_findings(few)) == ["examined: 2 laws hold (not checked: rows, loss)"]


def test_an_error_of_the_examination_stops_nothing(data: Path, train, tmp_path: Path, monkeypatch) -> None:
    def broken(*given: Any, **more: Any) -> Findings:
        raise RuntimeError("a law stumbled\nover two lines")

    monkeypatch.setattr(examination, "examine", broken)
    lines: list[str] = []
    result = train(data, tmp_path / "run", epochs=1, examine=True, print_line=lines.append)
    assert "    not examined: RuntimeError: a law stumbled" in lines
    assert result["epochs"] == 1


# --- nothing moves


def first_batches(task: Any) -> list[Any]:
    source = task.load_data(print_line=lambda line: None).sources["train"]
    dataset = engine.BatchDataset(source, task.collate)
    return [dataset.first_items(0, 4), dataset.first_items(4, 8)]


def test_weights_optimizer_and_random_states_stay_to_the_bit(data: Path, task_for) -> None:
    task = task_for(data)
    batches = first_batches(task)
    network = task.build_network()
    optimizer = task.make_optimizer(network)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: task.learning_rate_factor(step, 20))
    weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    rates, counter = schedule.get_last_lr(), schedule.last_epoch
    states = torch.get_rng_state(), random.getstate(), repr(np.random.get_state())
    found = examine_training(task, network, batches, optimizer, schedule, 20)
    assert "schedule" in found.checked
    assert all(torch.equal(tensor, weights[name]) for name, tensor in network.state_dict().items())
    assert all(weight.grad is None for weight in network.parameters())
    assert not optimizer.state
    assert (schedule.get_last_lr(), schedule.last_epoch) == (rates, counter)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (random.getstate(), repr(np.random.get_state())) == states[1:]


def test_items_that_draw_from_the_global_random_state_are_the_same_with_and_without(
    data: Path, train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though no recipe does that."""
    from seqloss.recipes.ocr.data import Files

    plain = Files.item

    def noisy(self: Files, epoch: int, index: int) -> Any:
        line, text = plain(self, epoch, index)
        return line + np.random.normal(size=line.shape).astype(line.dtype), text

    monkeypatch.setattr(Files, "item", noisy)
    for name, examined in (("one", True), ("other", False)):
        np.random.seed(0)
        train(data, tmp_path / name, epochs=1, examine=examined)
    one, other = (load_checkpoint(tmp_path / name / "checkpoints/last.ckpt")["state_dict"] for name in ("one", "other"))
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


# --- resuming, and findings of later steps


class Killed(BaseException):
    pass


def die_in_epoch_2(line: str) -> None:
    if line.startswith("epoch   2"):
        raise Killed


def test_a_resumed_run_is_not_examined_again_and_keeps_what_was_found(
    with_a_layer_that_is_not_called, data: Path, train, tmp_path: Path
) -> None:
    with pytest.raises(Killed):
        train(data, tmp_path / "run", examine=True, print_line=die_in_epoch_2)
    before = read_findings(Run(tmp_path / "run"))
    lines: list[str] = []
    train(data, tmp_path / "run", examine=True, print_line=lines.append)
    assert any(line.startswith("resuming") for line in lines)
    assert not any("weights-unused" in line or "laws hold" in line for line in lines)
    assert read_findings(Run(tmp_path / "run")) == before


def finding(step: int) -> Finding:
    return Finding(f"found-in-{step}", "error", {"step": step}, "a cause", "a fix")


def with_later_findings(monkeypatch: pytest.MonkeyPatch, steps: set[int]) -> None:
    """Something watches the run, and finds a fault in these steps."""

    def watch(self: RunFindings, trainer: Any, *given: Any) -> None:
        if trainer.global_step in steps:
            self.add(Findings((finding(trainer.global_step),)))

    monkeypatch.setattr(RunFindings, "on_train_batch_end", watch)


def test_later_findings_are_added_at_the_end_of_their_epoch(data: Path, train, tmp_path: Path, monkeypatch) -> None:
    with_later_findings(monkeypatch, {2, 4})
    train(data, tmp_path / "run", batch=3, examine=True)  # three steps in each of two epochs
    found = read_findings(Run(tmp_path / "run"))
    assert found is not None
    assert found.names[:2] == ["found-in-2", "found-in-4"]
    assert {"ledger", "rows", "loss", "schedule"} <= set(found.checked)
    shown = texts_of_tensorboard(tmp_path / "run")
    assert sorted(shown) == [0, 3, 6]
    assert "found-in" not in shown[0]
    assert "found-in-2" in shown[3]
    assert "found-in-4" not in shown[3]
    assert "found-in-4" in shown[6]


def test_a_resumed_run_finds_again_what_it_found_in_the_epoch_that_was_lost(
    data: Path, train, tmp_path: Path, monkeypatch
) -> None:
    with_later_findings(monkeypatch, {2, 4})
    with pytest.raises(Killed):
        train(data, tmp_path / "run", batch=3, examine=True, print_line=die_in_epoch_2)
    assert read_findings(Run(tmp_path / "run")).names[:2] == ["found-in-2", "found-in-4"]
    with_later_findings(monkeypatch, {5})
    train(data, tmp_path / "run", batch=3, examine=True)
    assert read_findings(Run(tmp_path / "run")).names[:2] == ["found-in-2", "found-in-5"]


def test_a_run_that_breaks_off_writes_what_was_found_in_its_last_epoch(
    data: Path, train, tmp_path: Path, monkeypatch
) -> None:
    def watch(self: RunFindings, trainer: Any, *given: Any) -> None:
        self.add(Findings((finding(trainer.global_step),)))
        raise KeyError("a fault of the data")

    monkeypatch.setattr(RunFindings, "on_train_batch_end", watch)
    with pytest.raises(KeyError, match="a fault of the data"):
        train(data, tmp_path / "run", examine=True)
    assert "found-in-1" in read_findings(Run(tmp_path / "run")).names


def test_only_the_main_process_writes(tmp_path: Path) -> None:
    class Other:
        is_global_zero, global_step, loggers = False, 0, ()

    findings = RunFindings(Run(tmp_path))
    findings.add(Findings((finding(1),)))
    findings.on_train_start(Other, None)
    findings.on_train_epoch_end(Other, None)
    findings.on_exception(Other, None, KeyError())
    assert list(tmp_path.iterdir()) == []


# --- progress, and the overfit test


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_shows_what_is_checked_when_it_takes_long(
    data: Path, task_for, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    monkeypatch.setattr(examination, "QUIET", 0.0)
    task = task_for(data)
    batches = first_batches(task)
    network = task.build_network()
    console = Console(file=io.StringIO(), force_terminal=terminal, width=80)
    examine_training(task, network, batches, task.make_optimizer(network), console=console)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert ("examining: " in shown) == terminal


def test_nothing_is_shown_before_the_time_is_over(data: Path, task_for, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seqloss.training.examination.QUIET", 1000.0)
    task = task_for(data)
    batches = first_batches(task)
    network = task.build_network()
    console = Console(file=io.StringIO(), force_terminal=True)
    examine_training(task, network, batches, task.make_optimizer(network), console=console)
    assert "examining" not in console.file.getvalue()  # type: ignore[attr-defined]


def overfit_lines(task: Any, monkeypatch: pytest.MonkeyPatch, options: RunOptions | None = None) -> list[str]:
    monkeypatch.setattr("seqloss.doctor.sanity_checks.OVERFIT_STEPS", 2)
    lines: list[str] = []
    overfit(task, 8, options, print_line=lines.append)
    return lines


def test_the_overfit_test_names_a_fault_before_its_result(
    with_a_layer_that_is_not_called, data: Path, task_for: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, first, fix, *_, last = overfit_lines(task_for(data), monkeypatch)
    assert first.startswith("error: weights-unused: ")
    assert fix.startswith("    Call the layer")
    assert last.startswith("FAIL: could not overfit 8 images")
    assert len(overfit_lines(task_for(data), monkeypatch, OFF)) == 2  # where the texts are, and the result
