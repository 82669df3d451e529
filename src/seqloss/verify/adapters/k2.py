"""k2's CTC: an intersection of graphs, pruned as it is unless it is told otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np

from seqloss.verify.adapters.torch import graded


def _loss(x: Any, targets: Any, logit_lengths: Any, target_lengths: Any, blank: int) -> Any:
    """Rows go in by falling length, which k2 asks for; the blank is class 0."""
    import k2
    import torch

    order = torch.argsort(logit_lengths, descending=True, stable=True)
    rows, frames, counts = order.tolist(), logit_lengths.tolist(), target_lengths.tolist()
    segments = torch.tensor([[row, 0, frames[row]] for row in rows], dtype=torch.int32)
    graph = k2.ctc_graph([targets[row, : counts[row]].tolist() for row in rows])
    losses = k2.ctc_loss(graph, k2.DenseFsaVec(x.log_softmax(2), segments), reduction="none")
    return losses[torch.from_numpy(np.argsort(order.numpy()))]


loss = graded(_loss)
