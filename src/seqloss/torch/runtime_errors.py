"""The errors of `CTCLoss`. They are RuntimeErrors too, so that code written for torch.nn.CTCLoss catches them."""

from __future__ import annotations

from seqloss import errors


class ShapeError(errors.ShapeError, RuntimeError):
    __doc__ = errors.ShapeError.__doc__


class DTypeError(errors.DTypeError, RuntimeError):
    __doc__ = errors.DTypeError.__doc__


class LengthError(errors.LengthError, RuntimeError):
    __doc__ = errors.LengthError.__doc__


class LabelError(errors.LabelError, RuntimeError):
    __doc__ = errors.LabelError.__doc__


class NormalizationError(errors.NormalizationError, RuntimeError):
    __doc__ = errors.NormalizationError.__doc__


class OptionError(errors.OptionError, RuntimeError):
    __doc__ = errors.OptionError.__doc__


KINDS = (ShapeError, DTypeError, LengthError, LabelError, NormalizationError, OptionError)


def as_runtime_error(error: errors.SeqLossError, message: str) -> errors.SeqLossError:
    """Return an error of the same kind that is a RuntimeError too, with another message."""
    kind = next((kind for kind in KINDS if isinstance(error, kind.__mro__[1])), type(error))
    return kind(message)
