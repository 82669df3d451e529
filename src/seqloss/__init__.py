"""Sequence-training losses that are provably right and fast, and the tools that get a model to learn with them.

Where things are:

=====================  ====================================================================================
`seqloss.torch`        the losses behind PyTorch's autograd: `ctc_loss`, `ctc_greedy`, `from_loss_and_grad`
`seqloss.reference`    the definition, to read: every path listed, and Graves' recursion, in float64
`seqloss.errors`       what can go wrong, in words
`seqloss.training`     the training engine: what every recipe is trained with
`seqloss.report`       the HTML report of a run
`seqloss.recipes`      one folder per task: settings, data, network, task
`seqloss` (shell)      `seqloss train ocr`, `seqloss transcribe`
=====================  ====================================================================================

This module imports nothing, so that `import seqloss` costs nothing; import the frontend that you need.
"""

__version__ = "0.1.0"


def set_num_threads(count: int) -> None:
    """Set how many CPU threads a loss may use in this process (default: `SEQLOSS_NUM_THREADS`, else all it may use)."""
    from seqloss.kernels.numba import threads

    threads.set_num_threads(count)


def get_num_threads() -> int:
    """How many CPU threads a loss may use in this process."""
    from seqloss.kernels.numba import threads

    return threads.get_num_threads()
