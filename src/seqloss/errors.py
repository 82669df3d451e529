"""Exceptions, and functions that make them with a message.

A message names the argument and the row, what was found, what was expected, and what to do next. All these exceptions
are `ValueError`s, so that code that catches the errors of a framework's own loss keeps working.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "BadRow",
    "DTypeError",
    "DataError",
    "GradientError",
    "InfeasibleError",
    "LabelError",
    "LengthError",
    "NormalizationError",
    "OptionError",
    "OutOfMemoryError",
    "RunError",
    "SeqLossError",
    "SeqLossWarning",
    "ShapeError",
    "StorageError",
    "VerifyError",
]


class SeqLossError(ValueError):
    """Base class of all exceptions of seqloss.

    Example:
        >>> from seqloss.errors import SeqLossError
        >>> from seqloss.numpy import ctc_loss
        >>> try:
        ...     ctc_loss([[0.0, 1.0]], [[1]])
        ... except SeqLossError as error:  # or ValueError
        ...     print(type(error).__name__)
        ShapeError
    """


class ShapeError(SeqLossError):
    """An argument has the wrong rank or size.

    Example:
        >>> from seqloss.numpy import ctc_loss
        >>> ctc_loss([[0.0, 1.0]], [[1]])  # doctest: +NORMALIZE_WHITESPACE
        Traceback (most recent call last):
        seqloss.errors.ShapeError: logits: expected shape (batch, time, classes), found (1,
        2). Add a batch axis with logits[None].
    """


class DTypeError(SeqLossError, TypeError):
    """An argument has an unsupported element type; also a TypeError.

    Example:
        >>> import numpy as np
        >>> from seqloss.numpy import ctc_loss
        >>> ctc_loss(np.zeros((1, 3, 2), np.int64), [[1]])  # doctest: +NORMALIZE_WHITESPACE
        Traceback (most recent call last):
        seqloss.errors.DTypeError: logits: expected float16, bfloat16, float32 or float64,
        found int64; convert it before the call.
    """


class LengthError(SeqLossError):
    """A length is negative or larger than its axis.

    Example:
        >>> import numpy as np
        >>> from seqloss.numpy import ctc_loss
        >>> ctc_loss(np.zeros((1, 3, 2)), [[1]], logit_lengths=[4])  # doctest: +NORMALIZE_WHITESPACE
        Traceback (most recent call last):
        seqloss.errors.LengthError: logit_lengths[0]: found 4, expected 0 to 3 (the size of
        the time axis); count frames after the network's subsampling, not samples or pixels.
    """


class LabelError(SeqLossError):
    """A label is not a class or is the blank, or the blank is not a class.

    Example:
        >>> import numpy as np
        >>> from seqloss.numpy import ctc_loss
        >>> ctc_loss(np.zeros((1, 3, 2)), [[2]])  # doctest: +NORMALIZE_WHITESPACE
        Traceback (most recent call last):
        seqloss.errors.LabelError: targets[0, 0]: found label 2, expected 0 to 1 without the
        blank 0; labels seem to count from 1, or the network's last layer lacks a class for
        the blank.
    """


class NormalizationError(SeqLossError):
    """With `normalize=False`, the logits are not log-probabilities.

    Example:
        >>> import numpy as np
        >>> from seqloss.numpy import ctc_loss
        >>> ctc_loss(np.zeros((1, 3, 2)), [[1]], normalize=False)  # doctest: +NORMALIZE_WHITESPACE
        Traceback (most recent call last):
        seqloss.errors.NormalizationError: logits[0, 0]: with normalize=False the scores
        must be log-probabilities, but this frame's probabilities add up to 2, expected at
        most 1.001; apply log_softmax once, or leave normalize=True.
    """


class InfeasibleError(SeqLossError):
    """With `infeasible="raise"`, a row has no path of positive probability.

    Example:
        >>> import numpy as np
        >>> from seqloss.numpy import ctc_loss
        >>> ctc_loss(np.zeros((1, 2, 2)), [[1, 1]], infeasible="raise")  # doctest: +NORMALIZE_WHITESPACE
        Traceback (most recent call last):
        seqloss.errors.InfeasibleError: row 0: no path fits: 2 labels with 1 adjacent
        repeats need 3 frames, found 2; subsample less in time, or drop the row;
        infeasible="zero" leaves such rows out of training.
    """


class OptionError(SeqLossError):
    """An option has an unknown value, or two options exclude each other.

    Example:
        >>> import numpy as np
        >>> from seqloss.numpy import ctc_loss
        >>> ctc_loss(np.zeros((1, 3, 2)), [[1]], reduction="average")  # doctest: +NORMALIZE_WHITESPACE
        Traceback (most recent call last):
        seqloss.errors.OptionError: reduction: found 'average', expected one of 'none',
        'sum', 'mean', 'batch', 'labels'.
    """


class GradientError(SeqLossError, RuntimeError):
    """A gradient has a layout that the optimiser does not take; also a RuntimeError, as PyTorch's optimisers raise.

    Example:
        >>> import torch
        >>> from seqloss.torch.optim import SMORMS3
        >>> weight = torch.nn.Parameter(torch.zeros(2, 2))
        >>> weight.grad = torch.eye(2).to_sparse()
        >>> SMORMS3([weight]).step()  # doctest: +NORMALIZE_WHITESPACE
        Traceback (most recent call last):
        seqloss.errors.GradientError: parameter 0 of group 0, of shape (2, 2): found a
        sparse gradient, expected a dense one; make the embedding with sparse=False, or use
        DenseSparseOptimizer(model, dense=SMORMS3).
    """


class OutOfMemoryError(SeqLossError, MemoryError):
    """There is not enough memory for a result that needs much of it; also a MemoryError.

    Example:
        >>> from seqloss.errors import OutOfMemoryError
        >>> issubclass(OutOfMemoryError, MemoryError)
        True
    """


class SeqLossWarning(UserWarning):
    """Something works, but not in the way that one expects, for example more slowly.

    Example:
        >>> import warnings
        >>> from seqloss.errors import SeqLossWarning
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("error", SeqLossWarning)  # such a warning stops the program; others do not
        ...     warnings.warn("slower than usual", SeqLossWarning)
        Traceback (most recent call last):
        seqloss.errors.SeqLossWarning: slower than usual
    """


def callers_level() -> int:
    """The `stacklevel` of a warning for the first caller outside of seqloss and the frameworks that call it.

    Call it in the function that warns.
    """
    level, frame = 1, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in {"seqloss", "torch", "tensorflow"}:
        level, frame = level + 1, frame.f_back
    return level


@dataclass(frozen=True)
class BadRow:
    """One row of a dataset that cannot be used, with its position and the reason.

    Attributes:
        file: the manifest that contains the row.
        row: number of the row in the file, or None for the whole file.
        reason: why it cannot be used.
        short: (image width, frames needed) if the text needs more frames than the image gives.

    Example:
        >>> from seqloss.errors import BadRow
        >>> BadRow("labels.csv", 3, "c.png: the text is empty").row
        3
    """

    file: str
    row: int | None
    reason: str
    short: tuple[int, int] | None = None


class DataError(SeqLossError):
    """A dataset has rows that cannot be used: `rows` lists them all, `note` says what they have in common.

    Args:
        message: which rows, why, and what to do.
        rows: all of them; empty if the message is about something else.
        note: what the rows have in common.

    Example:
        >>> from seqloss.data import cut_windows
        >>> from seqloss.errors import DataError
        >>> try:
        ...     cut_windows([1.0, float("nan"), 3.0], 2)
        ... except DataError as error:
        ...     print(error)
        ...     print(error.rows[0].row)
        table, row 1, column 0: found nan, expected a finite number; fill the gaps, or cut there.
        1
    """

    def __init__(self, message: str, rows: Sequence[BadRow] = (), note: str = "") -> None:
        super().__init__(message)
        self.rows, self.note = list(rows), note


class RunError(SeqLossError):
    """The folder of a run is missing, incomplete or of another configuration.

    Example:
        >>> from pathlib import Path
        >>> from seqloss.recipes import load_task
        >>> load_task(Path("no-run"))  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        seqloss.errors.RunError: no-run: contains no run; train one with: seqloss train ...
    """


class StorageError(RunError, OSError):
    """A file of a run cannot be written, for example because the disk is full; also an OSError, with its `errno`.

    Args:
        message: what could not be written, and what to do.
        number: the `errno` of the system's error, or None.

    Example:
        >>> import errno
        >>> from seqloss.errors import StorageError
        >>> error = StorageError("runs/ocr: cannot be written", errno.ENOSPC)
        >>> isinstance(error, OSError), error.errno == errno.ENOSPC
        (True, True)
    """

    def __init__(self, message: str, number: int | None = None) -> None:
        super().__init__(message)
        self.errno = number

    def __reduce__(self) -> tuple[type[StorageError], tuple[str, int | None]]:
        return type(self), (str(self), self.errno)


class VerifyError(SeqLossError):
    """The implementation to verify cannot be loaded or was not found.

    Example:
        >>> from seqloss.verify import verify
        >>> verify("no_such_file.py:ctc")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        seqloss.errors.VerifyError: ...
    """


def wrong_dtype(name: str, found: object, expected: str, advice: str = "") -> DTypeError:
    return DTypeError(f"{name}: expected {expected}, found {found}; {advice or _advice_for(str(found))}.")


def _advice_for(kind: str) -> str:
    if kind == "NoneType":
        return "look at what computes it: a function without `return` gives None"
    if kind == "object":  # NumPy's type of None, of integers beyond 64 bits, and of lists that hold them
        return "it holds None, integers beyond 64 bits or other objects: convert it to an array of numbers"
    return "convert it before the call"


def masked_array(name: str) -> DTypeError:
    return DTypeError(
        f"{name}: expected a plain array, found a masked array, whose mask would be ignored; pass its data, and say "
        "which entries count: give the lengths, or mask=~x.mask where the loss has `mask`."
    )


def float_lengths(name: str, found: object, axis: str, size: int | None = None, *, maybe_fractions: bool) -> DTypeError:
    """The error for lengths of a floating type; `maybe_fractions` if their values are unknown, or are all 0 and 1."""
    advice = "cast whole numbers to integers before the call"
    if maybe_fractions:
        advice += f"; if they are fractions of the {axis} axis, round(fraction * {_size_of(axis, size)}) for each row"
    return DTypeError(f"{name}: expected integers, found {found}; {advice}.")


def fractional_lengths(name: str, row: int, value: float, axis: str, size: int | None = None) -> DTypeError:
    """The error for lengths from 0 to 1."""
    result = f" = {round(value * size)}" if size else ""
    return DTypeError(
        f"{name}[{row}]: expected integers, found {value:g}, a fraction of the {axis} axis; multiply by the axis size "
        f"and round to the nearest integer for each row: round({value:g} * {_size_of(axis, size)}){result}. Truncation "
        "loses one where the product lies just below an integer."
    )


def no_whole_length(name: str, row: int, value: float) -> DTypeError:
    return DTypeError(
        f"{name}[{row}]: expected integers, found {value:g}; compute lengths in integers, as the network does: for "
        "example (length + stride - 1) // stride."
    )


def _size_of(axis: str, size: int | None) -> str:
    return str(size) if size else f"size of the {axis} axis"


def wrong_logits_dtype(found: object) -> DTypeError:
    return wrong_dtype("logits", found, "float16, bfloat16, float32 or float64")


def wrong_rank(name: str, found: Sequence[int | None], expected: str, hint: str = "") -> ShapeError:
    return ShapeError(f"{name}: expected shape {expected}, found {tuple(found)}.{' ' + hint if hint else ''}")


def concatenated_targets(found: Sequence[int]) -> ShapeError:
    hint = "Shapes are static here: pad each row to one length, and give target_lengths."
    return wrong_rank("targets", found, "(batch, labels)", hint)


def uneven_rows(name: str, lengths: str = "") -> ShapeError:
    remedy = f"pad them to one length and give {lengths}" if lengths else "pad them to one length"
    return ShapeError(f"{name}: found rows of uneven length; {remedy}.")


def wrong_batch(name: str, found: int, batch: int) -> ShapeError:
    return ShapeError(
        f"{name}: expected {batch} rows, one for each row of logits, found {found}; "
        "logits are batch first: (batch, time, classes)."
    )


def wrong_length(name: str, row: int, found: int, limit: int, axis: str) -> LengthError:
    if found < 0:
        cause = "a length counts from 0; a padding value or an overflow is the likely cause"
    elif name == "logit_lengths":
        cause = "count frames after the network's subsampling, not samples or pixels"
    elif name == "lengths":
        cause = "count the steps of the row without padding"
    else:
        cause = "count the labels of the row without padding"
    return LengthError(f"{name}[{row}]: found {found}, expected 0 to {limit} (the size of the {axis} axis); {cause}.")


def wrong_steps(name: str, found: Sequence[object], of: str, expected: Sequence[object]) -> ShapeError:
    """The error for an argument that does not have the rows, or the steps, of another one."""
    axes = "(batch,)" if len(expected) == 1 else "(batch, time)"
    return ShapeError(
        f"{name}: expected shape {axes} = {tuple(expected)}, that of {of}, found {tuple(found)}; axes are batch first."
    )


def wrong_step_label(row: int, step: int, found: int, classes: int, padding: int | None) -> LabelError:
    """The error for a label of a real step that is no class."""
    if found < 0 and padding is None:
        cause = f"if it is padding, say so: padding={found}, lengths or a mask"
    elif found < 0:
        cause = f"padding={padding} is another number: pad with one number, or give lengths or a mask"
    elif found == classes:
        cause = "labels seem to count from 1: subtract 1, or add a class to the network's last layer"
    else:
        cause = "the vocabulary is larger than the network's last layer"
    return LabelError(f"targets[{row}, {step}]: found label {found}, expected 0 to {classes - 1}; {cause}.")


TRUE_LENGTHS = "give the true target_lengths"
MOVE_BLANK = "give the blank a class of its own with blank=..."
"""Advice of `wrong_label` that a drop-in replacement gives in the words of its own arguments."""


def wrong_label(
    row: int, position: int, found: int, classes: int, blank: int, *, labels_follow: bool = False
) -> LabelError:
    """The error for a label in use that is no class or is the blank; `labels_follow` if one >= 0 stands after it."""
    allowed = f"0 to {classes - 1} without the blank {blank}"
    if found == blank:
        cause = (
            f"the blank is never part of a target: {TRUE_LENGTHS} if this is padding; if it is a label, {MOVE_BLANK}, "
            "or shift the labels by one"
        )
    elif found < 0 and labels_follow:
        cause = (
            "labels follow it, and padding stands after all labels; a label that stands for any other (unknown, star, "
            "wildcard) is not supported: give it a class of its own, such as <unk>, or leave out the row"
        )
    elif found < 0:
        cause = f"this looks like padding inside the target's length: {TRUE_LENGTHS}"
    elif found == classes:
        cause = "labels seem to count from 1, or the network's last layer lacks a class for the blank"
    else:
        cause = "the vocabulary is larger than the network's last layer"
    return LabelError(f"targets[{row}, {position}]: found label {found}, expected {allowed}; {cause}.")


def wrong_blank(found: int, classes: int) -> LabelError:
    return LabelError(
        f"blank: found {found}, expected {-classes} to {classes - 1} for {classes} classes; "
        "the last class is -1 or classes - 1."
    )


def not_normalized(row: int, frame: int, total: float) -> NormalizationError:
    return NormalizationError(
        f"logits[{row}, {frame}]: with normalize=False the scores must be log-probabilities, but this frame's "
        f"probabilities add up to {total:.6g}, expected at most 1.001; apply log_softmax once, or leave normalize=True."
    )


def found_probabilities(row: int, *, normalize: bool, zeros: int | None = None) -> NormalizationError:
    """The error for frames in [0, 1] that add up to 1; `zeros` is the first frame that holds zeros only."""
    if normalize:
        wanted = "scores before softmax; pass those, because the loss applies log_softmax itself, or take the logarithm"
        advice = f"{wanted} of the probabilities"
    else:
        advice = (
            "log-probabilities; take their logarithm: log(p), or log_softmax in place of the softmax and not after it"
        )
    lengths = "" if zeros is None else f"; frame {zeros} holds zeros only: give logit_lengths without such frames"
    return NormalizationError(
        f"logits: row {row} holds probabilities (its frames in use are in [0, 1] and add up to 1), expected {advice}"
        f"{lengths}."
    )


def infeasible_row(row: int, frames: int, labels: int, repeats: int) -> InfeasibleError:
    needed = labels + repeats
    if frames < needed:
        why = (
            f"{labels} labels with {repeats} adjacent repeats need {needed} frames, found {frames}; "
            "subsample less in time, or drop the row"
        )
    else:
        why = (
            f"every path meets a score of -inf ({frames} frames, {labels} labels); "
            "unmask the blank and the target's classes"
        )
    return InfeasibleError(f'row {row}: no path fits: {why}; infeasible="zero" leaves such rows out of training.')


def not_enough_memory(row: int, frames: int, labels: int, needed: int) -> OutOfMemoryError:
    return OutOfMemoryError(
        f"row {row}: to align {frames} frames with {labels} labels, {needed / 1e6:.0f} MB are needed beside the scores "
        "in each thread, and could not be allocated; free memory, set fewer threads (seqloss.set_num_threads), or cut "
        "the row and its target into pieces."
    )


def non_finite_row(row: int, frame: int, score: float) -> str:
    found = "nothing but -inf" if score == float("-inf") else f"a score of {score}"
    return (
        f"logits[{row}, {frame}]: found {found} in a frame in use, expected finite scores; the row's loss and gradient "
        "are NaN: look for a diverging network, an overflow in half precision or a division by 0."
    )


def unknown_option(name: str, found: object, known: Sequence[str | None]) -> OptionError:
    return OptionError(f"{name}: found {found!r}, expected one of {', '.join(map(repr, known))}.")


def unknown_choice(option: str, found: object, known: Sequence[object]) -> OptionError:
    """Of an option of the command line, where values stand without quotation marks."""
    return OptionError(f"{option}: found {found!r}, expected one of {', '.join(map(str, known))}.")


def missing_extra(package: str, extra: str, purpose: str) -> ImportError:
    return ImportError(f"{purpose} needs {package}, which is not installed: pip install 'seqloss[{extra}]'.")


def outside_folder(path: Path, folder: Path) -> str:
    return f"leads out of the data folder ({path} is not under {folder})"


def uneven_concatenation(found: int, labels: int) -> LengthError:
    """The error for lengths that do not add up to the number of concatenated labels."""
    return LengthError(
        f"target_lengths: they add up to {found}, expected {labels}, "
        "the number of concatenated labels; a concatenated target has no padding."
    )
