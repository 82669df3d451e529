"""What everyone who trains a network is told to look at first, each told in a line."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from seqloss.data.vocabulary import frames_needed

NEAR = 0.5
"""How far, relatively, the loss before training may be from that of uniform outputs: fresh weights say little."""

LEARNT, MOST_STEPS = 0.05, 600
"""Nats a character at which a few items are learnt by heart, and the steps that it may take."""


def uniform_loss(frames: int, labels: Sequence[int] | str, classes: int) -> float:
    """The loss of a network that knows nothing: each class as probable as any other, in every frame.

        loss = T log C - log (T + L - R over 2 L)

    of T frames and C classes, for L labels with R adjacent repeats: so many paths of T classes read as the target, each
    with a probability of C^-T.

    Args:
        frames: T. labels: the target. classes: C, the blank included.

    Returns:
        nats; infinite where no path fits.

    Example:
        >>> round(uniform_loss(2, [1], 2), 4)  # three of four paths
        0.2877
    """
    count, needed = len(labels), frames_needed(labels)
    if needed > frames:
        return math.inf
    top = frames + 2 * count - needed  # T + L - R
    paths = math.lgamma(top + 1) - math.lgamma(2 * count + 1) - math.lgamma(top - 2 * count + 1)
    return frames * math.log(classes) - paths


def tell_vocabulary(labels: int, head: int) -> str:
    """Whether the network's last layer has a class for each label, and one for the blank."""
    told = f"vocabulary: {labels} characters and the blank make {labels + 1} classes; the network's head has {head}"
    return told if head == labels + 1 else f"{told}: THEY MUST BE EQUAL"


def tell_unseen(split: str, unseen: Sequence[Sequence[str]]) -> Iterator[str]:
    """Which characters of held-out texts training has never seen.

    Example:
        >>> list(tell_unseen("test", [[], ["Y"], ["Y", "="]]))
        ['2 of 3 test texts hold characters that training never sees (= Y): each counts as a mistake']
    """
    touched = sum(bool(characters) for characters in unseen)
    if touched:
        names = " ".join(sorted({character for characters in unseen for character in characters}))
        told = f"{touched} of {len(unseen)} {split} texts hold characters that training never sees"
        yield f"{told} ({names}): each counts as a mistake"


def tell_first_loss(found: float, uniform: float) -> str:
    """The loss before the first step beside that of uniform outputs, both in nats a label."""
    told = f"loss before training: {found:.3f} nats a character; uniform outputs would have {uniform:.3f}"
    if abs(found - uniform) <= NEAR * uniform:
        return told
    return f"{told}: FAR FROM IT, so look at the last layer's first weights, and at the lengths"


def tell_blanked(found: float, blanked: float) -> str:
    """The loss on held-out pictures beside that on the same, all blanked out."""
    told = f"held-out loss {found:.3f} nats a character; with the pictures blanked out {blanked:.3f}"
    if found < 0.5 * blanked:
        return f"{told}: the network reads its pictures"
    if found < 0.9 * blanked:
        return f"{told}: the pictures begin to matter"
    return f"{told}: IT DOES NOT LOOK AT THEM YET"


def tell_feasible(rows: Sequence[tuple[int, int]], stride: int) -> str:
    """How many texts need more frames than there are, and at which subsampling they would fit.

    Args:
        rows: (width in pixels, frames needed) of each. stride: pixels a frame.

    Example:
        >>> tell_feasible([(40, 10), (40, 11)], 4)
        '1 of 2 texts need more frames than there are at 4 pixels a frame: at 3, 0 do not fit; at 2, 0; at 1, 0'
    """
    steps = range(stride, 0, -1)
    unfit = {step: sum(-(-width // step) < needed for width, needed in rows) for step in steps}
    if not unfit[stride]:
        tightest = max((needed / max(1, -(-width // stride)) for width, needed in rows), default=0.0)
        return f"all {len(rows)} texts fit their frames, {stride} pixels each; the tightest uses {tightest:.0%} of them"
    others = [f"at {step}, {unfit[step]}{' do not fit' * (step == stride - 1)}" for step in steps if step < stride]
    told = f"{unfit[stride]} of {len(rows)} texts need more frames than there are at {stride} pixels a frame"
    return f"{told}: {'; '.join(others)}" if others else told


def mean_uniform_loss(frames: Sequence[int], texts: Sequence[str], classes: int) -> float:
    """Nats a label, over a batch: the rows that no path fits are left out."""
    found = [(uniform_loss(t, text, classes), len(text)) for t, text in zip(frames, texts, strict=True)]
    kept = [(loss, count) for loss, count in found if loss < math.inf]
    return sum(loss for loss, _ in kept) / max(1, sum(count for _, count in kept))


def steps_to_learn(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: Callable[[], Tensor],
    backward: Callable[[Tensor], Any] = Tensor.backward,
    most: int = MOST_STEPS,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[int, float]:
    """Train on one batch, without dropout, until its loss is `LEARNT` or the steps are used up.

    Args:
        module: what is trained. optimizer: over its parameters. loss: of the batch. backward: called with it.
        most: steps.
        progress: told (steps taken, most).

    Returns:
        the steps taken, and the loss before the last of them.
    """
    module.train()
    for part in module.modules():
        if isinstance(part, nn.Dropout):
            part.eval()
    found = math.inf
    for step in range(1, most + 1):
        optimizer.zero_grad()
        value = loss()
        found = float(value.detach())
        if progress:
            progress(step, most)
        if found <= LEARNT:
            return step, found
        backward(value)
        nn.utils.clip_grad_norm_(module.parameters(), 5.0)
        optimizer.step()
    return most, found


def tell_overfit(count: int, steps: int, loss: float, blind: float) -> str:
    """Whether so many items were learnt by heart, and what the same steps reach where the items are blanked out."""
    passed = loss <= LEARNT
    told = f"PASS: {count} items learnt by heart in {steps} steps, to a loss of {loss:.3f} nats a character"
    if not passed:
        told = f"FAIL: {count} items not learnt in {steps} steps: a loss of {loss:.3f} nats a character, not {LEARNT}"
    told += f"; the same steps with the items blanked out: {blind:.3f}"
    if not passed:
        return f"{told}. Look at lengths, labels, learning rate, and what stands between loss and weights"
    return f"{told}: TOO GOOD, the texts can be told without looking" if blind <= 2 * LEARNT else told
