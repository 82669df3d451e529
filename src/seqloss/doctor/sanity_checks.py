"""Checks of data, network and loss before and at the start of training. Each returns a line of text."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from seqloss import contract
from seqloss.counts import format_count
from seqloss.data.vocabulary import frames_needed
from seqloss.torch.arrays import log_softmax_rounding

__all__ = [
    "count_infeasible",
    "describe_classes",
    "describe_feasibility",
    "describe_first_loss",
    "describe_input_ablation",
    "describe_overfit",
    "describe_scores",
    "describe_unseen",
    "mean_uniform_ctc_loss",
    "overfit_batch",
    "uniform_ctc_loss",
]

NEAR = 0.5
"""Normal relative distance of the first loss from its baseline: initial weights do not give uniform outputs."""

OVERFIT_STEPS = 600
"""Largest number of steps of an overfit test."""


def uniform_ctc_loss(frames: int, labels: Sequence[int] | Sequence[str], classes: int) -> float:
    """Compute the CTC loss of uniform outputs, with the same probability for each class in every frame.

        loss = T log C - log (T + L - R over 2 L)

    of T frames and C classes, for L labels with R adjacent repeats: the binomial coefficient counts the paths of T
    classes that collapse to the target, each with a probability of C^-T.

    Args:
        frames: T.
        labels: the target.
        classes: C, the blank included.

    Returns:
        The loss in nats; infinite without a path.

    Example:
        >>> round(uniform_ctc_loss(2, [1], 2), 4)  # three of four paths
        0.2877
    """
    count, needed = len(labels), frames_needed(labels)
    if needed > frames:
        return math.inf
    top = frames + 2 * count - needed  # T + L - R
    paths = math.lgamma(top + 1) - math.lgamma(2 * count + 1) - math.lgamma(top - 2 * count + 1)
    return frames * math.log(classes) - paths


def mean_uniform_ctc_loss(frames: Sequence[int], texts: Sequence[Sequence[str]], classes: int) -> float:
    """Return the mean of `uniform_ctc_loss` per label over a batch; infeasible rows are left out.

    Args:
        frames: of each row.
        texts: the targets.
        classes: the blank included.

    Returns:
        The loss in nats per label.

    Raises:
        ValueError: there is another number of texts than of frames.

    Example:
        >>> from seqloss.doctor.sanity_checks import mean_uniform_ctc_loss
        >>> round(mean_uniform_ctc_loss([2, 40], ["a", "abc"], 27), 4)
        30.4258
    """
    found = [(uniform_ctc_loss(t, text, classes), len(text)) for t, text in zip(frames, texts, strict=True)]
    kept = [(loss, count) for loss, count in found if loss < math.inf]
    return sum(loss for loss, _ in kept) / max(1, sum(count for _, count in kept))


def describe_classes(symbols: int, outputs: int, unit: str = "characters") -> str:
    """Report whether the output layer has one class for each symbol and one for the blank.

    Args:
        symbols: of the vocabulary, without the blank.
        outputs: of the output layer.
        unit: what the symbols are called.

    Returns:
        A line.

    Example:
        >>> describe_classes(26, 26)
        'vocabulary: 26 characters + blank = 27 classes; output layer: 26 classes: MISMATCH, they must be equal'
    """
    counts = (
        format_count(symbols, unit.removesuffix("s")),
        *(format_count(number, "class", "classes") for number in (symbols + 1, outputs)),
    )
    line = "vocabulary: {} + blank = {}; output layer: {}".format(*counts)
    return line if outputs == symbols + 1 else f"{line}: MISMATCH, they must be equal"


def describe_unseen(split: str, unseen: Sequence[Sequence[str]]) -> Iterator[str]:
    """Report the characters of held-out texts that do not occur in the training texts.

    Args:
        split: name of the split.
        unseen: of each text, its characters that do not occur in training.

    Returns:
        A line, or none if all characters occur.

    Example:
        >>> list(describe_unseen("test", [[], ["Y"], ["Y", "="]]))
        ['2 of 3 test texts have characters that do not occur in training (= Y); each counts as an error']
    """
    affected = sum(bool(characters) for characters in unseen)
    if affected:
        names = " ".join(sorted({character for characters in unseen for character in characters}))
        texts, verb = format_count(len(unseen), f"{split} text"), "has" if affected == 1 else "have"
        line = f"{affected} of {texts} {verb} characters that do not occur in training"
        yield f"{line} ({names}); each counts as an error"


def describe_first_loss(found: float, baseline: float | None, unit: str, name: str = "uniform baseline") -> str:
    """Report the loss before the first step, with the loss of uniform outputs, or of whatever `name` says.

    Args:
        found: the loss before the first step.
        baseline: the loss to expect; None if it is not known.
        unit: of the loss.
        name: of the baseline.

    Returns:
        A line, with a warning if the two are far apart.

    Example:
        >>> describe_first_loss(6.908, 6.873, "nats/char")
        'loss before training: 6.908 nats/char (uniform baseline 6.873)'
    """
    line = f"loss before training: {found:.3f} {unit}"
    if baseline is None:
        return line
    line += f" ({name} {baseline:.3f})"
    if abs(found - baseline) <= NEAR * baseline:
        return line
    return f"{line}: WARNING: far from the baseline; check the output layer's initialisation and the lengths"


def describe_scores(scores: Tensor, lengths: Sequence[int]) -> Iterator[str]:
    """Report rows of probabilities, which `ctc_loss` would take for scores before softmax.

    Args:
        scores: what the network gives to the loss, shape (batch, time, classes).
        lengths: number of frames in use of each row.

    Returns:
        A line, or none if no row holds probabilities.

    Example:
        >>> import torch
        >>> list(describe_scores(torch.tensor([[[0.9, 0.1], [0.2, 0.8]]]), [2]))
        ['scores: WARNING: 1 of 1 row holds probabilities; take their logarithm, or leave out the softmax']
    """
    rounding = log_softmax_rounding(scores.dtype)
    values = scores.detach().to("cpu", torch.float64).numpy()
    rows = [row[:frames] for row, frames in zip(values, lengths, strict=True)]
    count = sum(contract.probabilities_for_scores(row, 0, rounding) is not None for row in rows)
    if count:
        found = f"{count} of {format_count(len(rows), 'row')} {'holds' if count == 1 else 'hold'} probabilities"
        yield f"scores: WARNING: {found}; take their logarithm, or leave out the softmax"


def describe_input_ablation(found: float, empty: float, unit: str, item: str) -> str:
    """Report the loss of held-out items, with their loss for empty input.

    Args:
        found: the loss of held-out items.
        empty: their loss with empty input.
        unit: of the losses.
        item: what an item is called.

    Returns:
        A line, with a warning if the two are almost equal.

    Example:
        >>> describe_input_ablation(0.707, 5.17, "nats/char", "image")
        'validation loss 0.707 nats/char; 5.170 with empty images: the model uses its input'
    """
    line = f"validation loss {found:.3f} {unit}; {empty:.3f} with empty {item}s"
    if found < 0.5 * empty:
        return f"{line}: the model uses its input"
    if found < 0.9 * empty:
        return f"{line}: the model begins to use its input"
    return f"{line}: WARNING: the model does not use its input yet"


def describe_feasibility(rows: Sequence[tuple[int, int]], stride: int, steps: str = "pixels") -> str:
    """Report how many targets need more frames than there are, for each smaller stride too.

    Args:
        rows: (input length, frames needed) of each row.
        stride: input steps per frame.
        steps: name of the input's steps, in the plural.

    Returns:
        A line.

    Example:
        >>> describe_feasibility([(40, 10), (40, 11)], 4)
        '1 of 2 targets needs more frames than there are at 4 pixels/frame (at 3: 0, at 2: 0, at 1: 0)'
    """
    strides = range(stride, 0, -1)
    infeasible = {step: count_infeasible(rows, step) for step in strides}
    if not infeasible[stride]:
        ratio = max((needed / max(1, -(-length // stride)) for length, needed in rows), default=0.0)
        fit = "1 target fits its frames" if len(rows) == 1 else f"all {len(rows)} targets fit their frames"
        return f"{fit} ({stride} {steps}/frame); max target/frame ratio {ratio:.2f}"
    others = ", ".join(f"at {step}: {infeasible[step]}" for step in strides if step < stride)
    targets, verb = format_count(len(rows), "target"), "needs" if infeasible[stride] == 1 else "need"
    line = f"{infeasible[stride]} of {targets} {verb} more frames than there are at {stride} {steps}/frame"
    return f"{line} ({others})" if others else line


def count_infeasible(rows: Sequence[tuple[int, int]], stride: int) -> int:
    """Count the targets that need more frames than there are.

    Args:
        rows: (input length, frames needed) of each row.
        stride: input steps per frame.

    Returns:
        Their number.

    Example:
        >>> from seqloss.doctor.sanity_checks import count_infeasible
        >>> count_infeasible([(40, 10), (40, 11)], stride=4)
        1
    """
    return sum(-(-length // stride) < needed for length, needed in rows)


def overfit_batch(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: Callable[[], Tensor],
    *,
    goal: float,
    most: int | None = None,
    clip: float = 5.0,
    backward: Callable[[Tensor], Any] = Tensor.backward,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[int, float]:
    """Train on one batch, without dropout, until its loss is at most `goal` or the steps are used up.

    Args:
        module: the module to train.
        optimizer: trains its parameters.
        loss: computes the loss of the batch.
        goal: loss at which the batch counts as learnt.
        most: largest number of steps; None for `OVERFIT_STEPS`.
        clip: largest norm of the gradient.
        backward: called with the loss, in place of `loss.backward()`.
        progress: called with (steps taken, most).

    Returns:
        The number of steps, and the loss before the last of them.

    Raises:
        RuntimeError: the loss has no gradient.

    Example:
        >>> import torch
        >>> from seqloss.doctor.sanity_checks import overfit_batch
        >>> layer = torch.nn.Linear(2, 1)
        >>> batch, wanted = torch.eye(2), torch.tensor([[1.0], [2.0]])
        >>> optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
        >>> steps, loss = overfit_batch(layer, optimizer, lambda: (layer(batch) - wanted).square().mean(), goal=0.01)
        >>> steps < 600, loss <= 0.01
        (True, True)
    """
    module.train()
    for part in module.modules():
        if isinstance(part, nn.Dropout):
            part.eval()
    most = OVERFIT_STEPS if most is None else most
    found = math.inf
    for step in range(1, most + 1):
        optimizer.zero_grad()
        value = loss()
        found = float(value.detach())
        if progress:
            progress(step, most)
        if found <= goal:
            return step, found
        backward(value)
        nn.utils.clip_grad_norm_(module.parameters(), clip)
        optimizer.step()
    return most, found


def describe_overfit(
    count: int, steps: int, loss: float, empty: float | None, *, goal: float, unit: str, item: str
) -> str:
    """Report the result of an overfit test, with the loss of the same steps for empty input if that was tried.

    Args:
        count: number of items.
        steps: taken.
        loss: at the end.
        empty: the loss after the same steps with empty input; None if that was not tried.
        goal: loss at which the items count as learnt.
        unit: of the losses.
        item: what an item is called.

    Returns:
        A line that begins with PASS or FAIL.

    Example:
        >>> describe_overfit(8, 20, 0.04, 3.0, goal=0.05, unit="nats/char", item="image")
        'PASS: overfit 8 images in 20 steps: loss 0.040 nats/char; 3.000 with empty images'
    """
    passed = loss <= goal
    line = f"{'PASS: overfit' if passed else 'FAIL: could not overfit'} "
    line += f"{format_count(count, item)} in {format_count(steps, 'step')}: "
    line += f"loss {loss:.3f} {unit}{'' if passed else f', expected at most {goal}'}"
    if empty is not None:
        line += f"; {empty:.3f} with empty {item}s"
    if not passed:
        return f"{line}. Check lengths, labels, the learning rate and the path from the loss to the weights"
    if empty is not None and empty <= 2 * goal:
        return f"{line}: WARNING: the targets can be predicted without the input"
    return line
