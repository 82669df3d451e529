"""Sequence-training losses for NumPy, PyTorch, JAX and Keras, and tools for training with them.

=====================  ====================================================================================
`seqloss.numpy`        the losses on NumPy arrays, with gradients
`seqloss.torch`        the losses with PyTorch's autograd
`seqloss.jax`          the losses under JAX's transformations
`seqloss.keras`        the losses for Keras 3 models
`seqloss.reference`    brute-force definitions in float64, which the fast code is tested against
`seqloss.verify`       tests for any implementation of CTC
`seqloss.doctor`       tools that find out why a model does not learn
`seqloss.data`         datasets of images with text: manifest, vocabulary, splits
`seqloss.training`     the training engine of all recipes
`seqloss.report`       the HTML report of a run
`seqloss.recipes`      one folder per task: settings, data, network, task
`seqloss.errors`       exceptions
`seqloss` (shell)      `seqloss train ocr`, `seqloss transcribe`, `seqloss verify`
=====================  ====================================================================================

`import seqloss` imports no framework. Import the frontend that you need.
"""

__all__ = ["get_num_threads", "set_num_threads"]

__version__ = "0.1.0"


def set_num_threads(count: int) -> None:
    """Set the number of CPU threads that a loss may use, for the whole process.

    The default is the environment variable `SEQLOSS_NUM_THREADS`, else the number of CPUs that the process may use. The
    number of threads does not change results.

    Args:
        count: number of threads, a positive integer.

    Raises:
        OptionError: `count` is not a positive integer.

    Example:
        >>> import seqloss
        >>> before = seqloss.get_num_threads()
        >>> seqloss.set_num_threads(1)
        >>> seqloss.get_num_threads()
        1
        >>> seqloss.set_num_threads(before)
    """
    from seqloss.kernels.numba import threads

    threads.set_num_threads(count)


def get_num_threads() -> int:
    """Return the number of CPU threads that a loss may use in this process.

    Returns:
        The number that `set_num_threads` set, else `SEQLOSS_NUM_THREADS`, else the number of CPUs that the process may
        use.

    Raises:
        OptionError: `SEQLOSS_NUM_THREADS` is not a positive integer.

    Example:
        >>> import seqloss
        >>> seqloss.get_num_threads() >= 1
        True
    """
    from seqloss.kernels.numba import threads

    return threads.get_num_threads()
