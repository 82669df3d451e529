"""The CTC loss for the Trainer of Hugging Face transformers.

* `CTCTrainerLoss`: what `transformers.Trainer(compute_loss_func=...)` takes.

`seqloss.torch` does not import this package, and this package does not import transformers.
"""

from seqloss.torch.huggingface.loss import CTCTrainerLoss

__all__ = ["CTCTrainerLoss"]
