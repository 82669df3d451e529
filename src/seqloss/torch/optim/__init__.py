"""Optimisers of PyTorch models.

* `SMORMS3`: steps that are large where gradients agree, and small where they are noise.
* `DenseSparseOptimizer`: one optimiser for a model with dense and sparse gradients.
"""

from seqloss.torch.optim.dense_sparse import DenseSparseOptimizer
from seqloss.torch.optim.smorms3 import SMORMS3

__all__ = ["SMORMS3", "DenseSparseOptimizer"]
