"""Each message says what was found, what was expected and what to do next."""

import errno
import pickle
from pathlib import Path

import numpy as np
import pytest

from seqloss import errors

CHILDREN = [
    errors.ShapeError,
    errors.DTypeError,
    errors.LengthError,
    errors.LabelError,
    errors.NormalizationError,
    errors.InfeasibleError,
    errors.GradientError,
    errors.OutOfMemoryError,
    errors.OptionError,
    errors.DataError,
    errors.RunError,
    errors.StorageError,
    errors.VerifyError,
]


@pytest.mark.parametrize("child", CHILDREN)
def test_every_error_is_a_seqloss_error_and_a_value_error(child: type[Exception]) -> None:
    assert issubclass(child, errors.SeqLossError)
    assert issubclass(child, ValueError)


def test_a_wrong_type_is_a_type_error_too() -> None:
    assert isinstance(errors.wrong_dtype("targets", "float32", "integers"), TypeError)


def test_too_little_memory_is_a_memory_error_too() -> None:
    assert isinstance(errors.not_enough_memory(0, 1, 1, 1), MemoryError)


def test_a_full_disk_is_an_os_error_with_its_number_also_after_pickling() -> None:
    error = errors.StorageError("last.ckpt: cannot be written (No space left on device).", errno.ENOSPC)
    for problem in (error, pickle.loads(pickle.dumps(error))):
        assert isinstance(problem, OSError)
        assert isinstance(problem, errors.RunError)
        assert problem.errno == errno.ENOSPC
        assert str(problem) == "last.ckpt: cannot be written (No space left on device)."


def test_no_error_of_the_module_is_left_out_above() -> None:
    own = [value for value in vars(errors).values() if isinstance(value, type)]
    assert {e for e in own if issubclass(e, errors.SeqLossError)} == {errors.SeqLossError, *CHILDREN}


@pytest.mark.parametrize(
    ("error", "kind", "parts"),
    [
        (
            errors.wrong_dtype("targets", "float32", "integers"),
            errors.DTypeError,
            ["targets: expected integers, found float32", "convert it before the call"],
        ),
        (
            errors.wrong_dtype("logits", "NoneType", "a torch.Tensor"),
            errors.DTypeError,
            ["logits: expected a torch.Tensor, found NoneType", "a function without `return` gives None"],
        ),
        (
            errors.wrong_dtype("targets", np.dtype(object), "integers"),
            errors.DTypeError,
            [
                "targets: expected integers, found object; it holds None, integers beyond 64 bits or other objects: ",
                "convert it to an array of numbers.",
            ],
        ),
        (
            errors.wrong_rank("logits", (3, 4), "(batch, time, classes)", "Add an axis."),
            errors.ShapeError,
            ["logits: expected shape (batch, time, classes), found (3, 4). Add an axis."],
        ),
        (
            errors.wrong_rank("x", [3], "(batch,)"),
            errors.ShapeError,
            ["x: expected shape (batch,), found (3,)."],
        ),
        (
            errors.wrong_batch("targets", 3, 2),
            errors.ShapeError,
            ["targets: expected 2 rows", "found 3", "logits are batch first: (batch, time, classes)"],
        ),
        (
            errors.wrong_length("logit_lengths", 4, 900, 300, "time"),
            errors.LengthError,
            ["logit_lengths[4]: found 900, expected 0 to 300 (the size of the time axis)", "subsampling"],
        ),
        (
            errors.wrong_length("target_lengths", 0, 9, 8, "labels"),
            errors.LengthError,
            ["target_lengths[0]: found 9, expected 0 to 8", "without padding"],
        ),
        (
            errors.wrong_length("target_lengths", 0, -9, 8, "labels"),
            errors.LengthError,
            ["found -9", "counts from 0", "overflow"],
        ),
        (
            errors.wrong_label(2, 5, 0, 10, 0),
            errors.LabelError,
            ["targets[2, 5]: found label 0, expected 0 to 9 without the blank 0", "true target_lengths"],
        ),
        (errors.wrong_label(2, 5, -100, 10, 0), errors.LabelError, ["found label -100", "padding inside"]),
        (errors.wrong_label(2, 5, 10, 10, 0), errors.LabelError, ["found label 10", "count from 1"]),
        (errors.wrong_label(2, 5, 11, 10, 0), errors.LabelError, ["found label 11", "vocabulary is larger"]),
        (
            errors.wrong_blank(10, 10),
            errors.LabelError,
            ["blank: found 10, expected -10 to 9 for 10 classes", "the last class is -1"],
        ),
        (
            errors.not_normalized(1, 2, 54.5982),
            errors.NormalizationError,
            ["logits[1, 2]", "add up to 54.5982, expected at most 1.001", "apply log_softmax once"],
        ),
        (
            errors.infeasible_row(3, 5, 4, 2),
            errors.InfeasibleError,
            ["row 3", "4 labels with 2 adjacent repeats need 6 frames, found 5", "subsample less"],
        ),
        (
            errors.infeasible_row(3, 6, 4, 2),
            errors.InfeasibleError,
            ["row 3", "every path meets a score of -inf (6 frames, 4 labels)", "unmask", 'infeasible="zero"'],
        ),
        (
            errors.not_enough_memory(3, 180_000, 40_000, 124_000_000),
            errors.OutOfMemoryError,
            ["row 3", "180000 frames with 40000 labels, 124 MB are needed", "in each thread", "into pieces"],
        ),
        (
            errors.unknown_option("reduction", "avg", ["sum", "mean"]),
            errors.OptionError,
            ["reduction: found 'avg', expected one of 'sum', 'mean'."],
        ),
        (
            errors.missing_extra("torch", "torch", "seqloss.torch"),
            ImportError,
            ["seqloss.torch needs torch", "pip install 'seqloss[torch]'"],
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_messages_hold_what_was_found_what_was_expected_and_what_to_do(
    error: Exception, kind: type[Exception], parts: list[str]
) -> None:
    assert type(error) is kind
    for part in parts:
        assert part in str(error), str(error)


def test_a_data_error_carries_all_its_rows() -> None:
    rows = [errors.BadRow("a.png", 3, "empty text"), errors.BadRow("b.png", None, "unreadable")]
    assert errors.DataError("2 bad rows", iter(rows)).rows == rows  # type: ignore[arg-type]
    assert errors.DataError("nothing usable").rows == []


def test_a_path_outside_the_folder_is_reported_with_both_paths() -> None:
    text = errors.outside_folder(Path("/etc/passwd"), Path("/data"))
    assert "/etc/passwd" in text
    assert "/data" in text


def test_warnings_are_user_warnings() -> None:
    assert issubclass(errors.SeqLossWarning, UserWarning)
