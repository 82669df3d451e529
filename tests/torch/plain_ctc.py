"""CTC from its definition in PyTorch's own operations, whose derivatives of any order are PyTorch's."""

from __future__ import annotations

import torch


def plain_ctc(
    logits: torch.Tensor, targets: torch.Tensor, frames: torch.Tensor, labels: torch.Tensor, *, normalize: bool = True
) -> torch.Tensor:
    """The loss of each row, (batch,); the blank is class 0, and each row has a path."""
    log_probs = logits.log_softmax(2) if normalize else logits
    rows = zip(log_probs, targets.tolist(), frames.tolist(), labels.tolist(), strict=True)
    return torch.stack([-_log_probability(x[:used], row[:count]) for x, row, used, count in rows])


def _log_probability(log_probs: torch.Tensor, target: list[int]) -> torch.Tensor:
    states = [0]
    for label in target:
        states += [label, 0]
    before: list[torch.Tensor | None] = [log_probs[0, k] if s < 2 else None for s, k in enumerate(states)]
    for frame in log_probs[1:]:
        now: list[torch.Tensor | None] = []
        for s, k in enumerate(states):
            origins = [s, s - 1, s - 2] if s >= 2 and k not in (0, states[s - 2]) else [s, s - 1]
            terms = [before[o] for o in origins if o >= 0 and before[o] is not None]
            now.append(torch.logsumexp(torch.stack(terms), 0) + frame[k] if terms else None)  # type: ignore[arg-type]
        before = now
    return torch.logsumexp(torch.stack([x for x in before[-2:] if x is not None]), 0)
