"""CTC of k2: an intersection of graphs, with the default pruning."""

from __future__ import annotations

from typing import Any

import numpy as np

from seqloss.verify.adapters.torch import make_adapter


def _loss(x: Any, targets: Any, logit_lengths: Any, target_lengths: Any, blank: int) -> Any:
    """k2 needs rows in the order of decreasing length; the blank is class 0."""
    import k2
    import torch

    order = torch.argsort(logit_lengths, descending=True, stable=True)
    rows, frames, counts = order.tolist(), logit_lengths.tolist(), target_lengths.tolist()
    segments = torch.tensor([[row, 0, frames[row]] for row in rows], dtype=torch.int32)
    graph = k2.ctc_graph([targets[row, : counts[row]].tolist() for row in rows])
    losses = k2.ctc_loss(graph, k2.DenseFsaVec(x.log_softmax(2), segments), reduction="none")
    return losses[torch.from_numpy(np.argsort(order.numpy()))]


loss = make_adapter(_loss)
