"""A run's own outputs, as a file that any CTC can be held against."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from seqloss.errors import OptionError, RunError
from seqloss.recipes import load_task
from seqloss.training.predictor import Predictor
from seqloss.training.run import Run
from seqloss.verify import Implementation
from seqloss.verify.model_outputs import evaluate_implementation, read_model_outputs


def export(folder: Path, file: Path, items: int = 256) -> int:
    task = load_task(folder)
    return task.export(Predictor(task, Run(folder)).network, file, items)


def test_a_run_s_outputs_are_an_ordinary_problem_that_our_frontend_solves(trained, tmp_path: Path) -> None:
    _, run, _ = trained
    count = export(run, tmp_path / "out.npz")
    given = read_model_outputs(tmp_path / "out.npz")
    assert count == given.shape[0] == 2  # the images held out for validation
    assert (given.logit_lengths <= given.shape[1]).all()
    assert given.label_rows() != [[], []]
    figure = evaluate_implementation(
        Implementation("ours", "seqloss.verify.adapters.numpy:frontend"), given
    ).numerical_errors[0]
    assert figure.rows == 2
    assert figure.worst < 1e-10


def test_a_number_of_items_can_be_chosen_and_0_is_refused(trained, tmp_path: Path) -> None:
    _, run, _ = trained
    assert export(run, tmp_path / "one.npz", items=1) == 1
    with pytest.raises(OptionError, match="--items: found 0"):
        export(run, tmp_path / "none.npz", items=0)
    assert not list(tmp_path.glob("none*"))


def test_a_folder_without_a_run_is_reported(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="contains no run"):
        export(tmp_path, tmp_path / "out.npz")


def test_a_name_without_npz_is_kept_as_it_is(trained, tmp_path: Path) -> None:
    _, run, _ = trained
    export(run, tmp_path / "deep" / "outputs")
    assert np.load(tmp_path / "deep" / "outputs")["blank"] == 0
