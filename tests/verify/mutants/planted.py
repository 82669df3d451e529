"""Wrong versions of `plain`: each is one small mistake that somebody could make, and the law that must be named first.

A mutant is a replacement in `plain.py`'s source, so that its mistake can be read as a difference of a line or two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

PLAIN = Path(__file__).with_name("plain.py")


@dataclass(frozen=True)
class Mutant:
    """One mistake.

    Attributes:
        name: a few words with dashes.
        old, new: what stands in `plain.py`, exactly once, and what stands here instead.
        law: the first law that it breaks; or several, where that depends on what the search draws.
        words: the mistake in a few words.
        careless: whether it shows on invalid or special input alone, loudly, or is rounding; else its values are wrong.
    """

    name: str
    old: str
    new: str
    law: str | tuple[str, ...]
    words: str
    careless: bool = False

    @property
    def laws(self) -> set[str]:
        return {self.law} if isinstance(self.law, str) else set(self.law)


def source_of(mutant: Mutant) -> str:
    """The mutant's whole source.

    Raises:
        ValueError: `old` does not stand in `plain.py` exactly once.
    """
    plain = PLAIN.read_text()
    found = plain.count(mutant.old)
    if found != 1:
        raise ValueError(f"{mutant.name}: {mutant.old!r} stands in {PLAIN.name} {found} times, not once")
    return plain.replace(mutant.old, mutant.new)


def load(mutant: Mutant) -> Callable:
    """The mutant's `ctc`."""
    module = ModuleType(f"mutant_{mutant.name.replace('-', '_')}")
    exec(compile(source_of(mutant), f"<{mutant.name}>", "exec"), module.__dict__)
    return module.ctc


FRAMES = "used = slice(0, logit_lengths[n])"
LABELS = "labels = targets[n, : target_lengths[n]]"
CHECK = "(labels < 0) | (labels >= classes) | (labels == blank)"
LENGTHS = "(lengths < 0) | (lengths > axis)"
STATES = "states = np.full(2 * len(labels) + 1, blank)"
SKIPS = "skips[3::2] = labels[1:] != labels[:-1]"
START = "alphas[0, 0] = 0.0\n    for t in range(frames):"
END = "total, flow[-2:] = log_sum(alphas[-1, -2:])"
LOGS = "return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))"
SHARES = "shares = np.exp(ways - np.where(best == NEVER, 0.0, best))"
LOSS = "loss[n] = max(-total, 0.0)"
NORMALISED = "log_probs = log_softmax(scores)"
GRADIENT = "weights[n] * (np.exp(log_probs) - posteriors)"
EMPTY_HANDED = "loss, gradient = np.zeros(batch), np.zeros(logits.shape)"
RETURN = "return loss.astype(logits.dtype), gradient.astype(logits.dtype)"

PATHS = (
    Mutant(
        "never-skips",
        SKIPS,
        "skips[3::2] = False",
        "certain-path",
        "a blank is demanded between any two labels",
    ),
    Mutant(
        "repeats-merge",
        SKIPS,
        "skips[3::2] = True",
        "sums-to-1",
        "the blank between equal labels may be skipped too",
    ),
    Mutant(
        "target-repeats-merged",
        LABELS,
        LABELS + "\n        labels = labels[np.diff(labels, prepend=-1) != 0]",
        "certain-path",
        "repeated labels are merged in the target, as in a path",
    ),
    Mutant(
        "start-only-from-blank",
        START,
        "alphas[:2, 0] = 0.0, *emissions[:1, 0]\n    for t in range(1, frames):",
        "time-reversal",
        "the first frame may show the blank alone",
    ),
    Mutant(
        "last-label-not-final",
        END,
        "total, flow[-1:] = log_sum(alphas[-1, -1:])",
        "time-reversal",
        "paths that end in the last label are left out",
    ),
    Mutant(
        "last-blank-not-final",
        END,
        "total, flow[-2:][:1] = log_sum(alphas[-1, -2:][:1])",
        "time-reversal",
        "paths that end in the last blank are left out",
    ),
    Mutant(
        "blank-always-0",
        STATES,
        "states = np.zeros(2 * len(labels) + 1, int)",
        "relabelling",
        "the blank is class 0, whatever was said",
    ),
    Mutant(
        "blank-one-lower",
        STATES,
        "states = np.full(2 * len(labels) + 1, blank - 1)",
        "relabelling",
        "the blank is one class too low; 0 becomes the last",
    ),
    Mutant(
        "blank-always-last",
        STATES,
        "states = np.full(2 * len(labels) + 1, log_probs.shape[1] - 1)",
        "relabelling",
        "the blank is the last class, whatever was said",
    ),
    Mutant(
        "best-path",
        "return best + np.log(whole), shares / whole",
        "return best, (ways == best) / (ways == best).sum(axis=0)",
        ("sums-to-1", "time-reversal"),
        "Viterbi: the best path instead of the sum over all; among paths that tie it is another one backwards",
    ),
)


def converted(lengths: str, axis: str, rounding: str, dtype: str) -> str:
    """Lengths as fractions of their axis in a type, and back to integers."""
    return f"{rounding}((({lengths} / max(1, {axis})).astype({dtype}) * {dtype}({axis})).astype(float)).astype(int)"


def lengths_as_fractions(name: str, rounding: str, dtype: str, what: str = "both") -> Mutant:
    """In some type, and truncated, rounded up, or rounded in a type with too few digits."""
    frames, labels = ("logit_lengths", "time"), ("target_lengths", "targets.shape[1]")
    lines = [
        f"{names[0]} = {converted(*names, rounding, dtype)}"
        for names, kind in ((frames, "frames"), (labels, "labels"))
        if what in ("both", kind)
    ]
    words = f"{what}: fractions of the axis in {dtype.split('.')[-1]}, then {rounding}"
    new = "\n    ".join([*(["import ml_dtypes"] if "ml_dtypes" in dtype else []), *lines, EMPTY_HANDED])
    first = "sizes" if "bfloat16" in dtype else "padding"  # bfloat16 has no 257
    return Mutant(name, EMPTY_HANDED, new, (first, "lengths"), words)


LENGTHS_AND_PADDING = (
    lengths_as_fractions("lengths-truncated-in-float32", "np.trunc", "np.float32"),
    lengths_as_fractions("lengths-truncated-in-float64", "np.trunc", "np.float64"),
    lengths_as_fractions("frames-truncated-in-float16", "np.trunc", "np.float16", "frames"),
    lengths_as_fractions("labels-truncated-in-bfloat16", "np.trunc", "ml_dtypes.bfloat16", "labels"),
    lengths_as_fractions("frames-rounded-up-in-float32", "np.ceil", "np.float32", "frames"),
    lengths_as_fractions("labels-rounded-up-in-float64", "np.ceil", "np.float64", "labels"),
    lengths_as_fractions("lengths-rounded-in-bfloat16", "np.round", "ml_dtypes.bfloat16"),
    Mutant(
        "frames-as-shares",
        FRAMES,
        "used = slice(0, int(np.float32(logit_lengths[n] / max(1, time)) * np.float32(time)))",
        "padding",
        "frames are given as a share of the time axis, and truncated",
    ),
    Mutant(
        "labels-as-shares",
        LABELS,
        "labels = targets[n, : int(np.float32(target_lengths[n] / max(1, targets.shape[1])) * targets.shape[1])]",
        "padding",
        "labels are given as a share of the labels axis, and truncated",
    ),
    Mutant(
        "first-two-frames-cut",
        FRAMES,
        "used = slice(2, max(2, logit_lengths[n]))",
        "time-reversal",
        "the first two frames are dropped, as old Keras did",
    ),
    Mutant(
        "last-frame-cut",
        FRAMES,
        "used = slice(0, max(0, logit_lengths[n] - 1))",
        "time-reversal",
        "one frame too few is read",
    ),
    Mutant(
        "one-frame-of-padding",
        FRAMES,
        "used = slice(0, logit_lengths[n] + 1)",
        "padding",
        "one frame too many is read, where there is one",
    ),
    Mutant(
        "lengths-swapped",
        f"{FRAMES}\n        {LABELS}",
        "used = slice(0, target_lengths[n])\n        labels = targets[n, : logit_lengths[n]]",
        "padding",
        "frames are counted by the target's length, labels by the frames'",
    ),
    Mutant(
        "logit-lengths-ignored",
        FRAMES,
        "used = slice(0, time)",
        "padding",
        "every row is as long as the array",
    ),
    Mutant(
        "target-lengths-ignored",
        LABELS,
        "labels = targets[n]",
        "padding",
        "every target is as long as the array",
    ),
    Mutant(
        "last-label-cut",
        LABELS,
        "labels = targets[n, : max(0, target_lengths[n] - 1)]",
        "time-reversal",
        "one label too few is read",
    ),
    Mutant(
        "one-label-of-padding",
        LABELS,
        "labels = targets[n, : target_lengths[n] + 1]",
        "padding",
        "one label too many is read, where there is one",
    ),
    Mutant(
        "padding-counted",
        LOSS,
        "loss[n] = max(-total, 0.0) - log_softmax(logits[n, logit_lengths[n] :])[:, blank].sum()",
        "padding",
        "padded frames have to show the blank",
    ),
    Mutant(
        "gradient-in-padding",
        EMPTY_HANDED,
        "loss, gradient = np.zeros(batch), np.exp(log_softmax(logits))",
        "padding",
        "padded frames keep their softmax as gradient",
    ),
    Mutant(
        "padding-times-zero",
        EMPTY_HANDED,
        "loss, gradient = np.zeros(batch), 0.0 * np.exp(log_softmax(logits))",
        "nan-in-padding",
        "padding is multiplied by 0 instead of left out, and 0 * NaN is NaN",
        careless=True,
    ),
)

ARITHMETIC = (
    Mutant(
        "softmax-over-time",
        EMPTY_HANDED,
        "logits = log_softmax(logits.swapaxes(1, 2)).swapaxes(1, 2)\n    " + EMPTY_HANDED,
        "padding",
        "softmax runs over all frames, and then over the classes",
    ),
    Mutant(
        "softmax-over-used-frames",
        NORMALISED,
        "log_probs = log_softmax(scores.T).T",
        "frame-shift",
        "softmax runs over the frames of the row",
    ),
    Mutant(
        "softmax-over-batch",
        EMPTY_HANDED,
        "logits = np.log(np.exp(logits) / np.exp(logits).sum(axis=0))\n    " + EMPTY_HANDED,
        "batch-mates",
        "softmax runs over the rows",
    ),
    Mutant(
        "no-softmax",
        NORMALISED,
        "log_probs = np.where(np.isnan(scores.sum()), np.nan, scores)",
        "frame-shift",
        "scores are taken for log-probabilities",
    ),
    Mutant(
        "softmax-twice",
        NORMALISED,
        "log_probs = log_softmax(np.exp(log_softmax(scores)))",
        "certain-path",
        "probabilities are taken for scores",
    ),
    Mutant(
        "log-add-without-swap",
        "best = ways.max(axis=0)",
        "best = np.where(ways[0] > NEVER, ways[0], ways.max(axis=0))",
        "masked",
        "a + log1p(exp(b - a)), though b may be far larger: exp overflows",
    ),
    Mutant(
        "log-add-clipped",
        SHARES,
        "shares = np.exp(np.maximum(ways - np.where(best == NEVER, 0.0, best), -20.0))",
        "digits",
        "differences are clipped at -20",
    ),
    Mutant(
        "minus-1e5-for-never",
        "NEVER = -np.inf",
        "NEVER = -1e5",
        "impossible",
        "-1e5 stands for minus infinity",
        careless=True,
    ),
    Mutant(
        "probabilities-plus-1e-7",
        LOGS,
        "return np.log(np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True) + 1e-7)",
        "digits",
        "1e-7 is added before the log, as Keras does",
    ),
    Mutant(
        "probabilities-floored",
        LOGS,
        "return np.log(np.maximum(np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True), 1e-7))",
        "cut",
        "no probability is under 1e-7",
    ),
    Mutant(
        "softmax-without-maximum",
        "NEVER, scores - best)",
        "NEVER, scores)",
        "extreme-scores",
        "the exponentials are of the scores themselves: over 709 they overflow",
    ),
    Mutant(
        "masked-at-1000",
        "MASK = 1e8",
        "MASK = 1e3",
        "masked",
        "a score 1,000 nats under the largest counts as impossible",
    ),
    Mutant(
        "minus-inf-poisons",
        "if np.isnan(log_probs).any():",
        "if not np.isfinite(log_probs).all():",
        "closed-scores",
        "-inf is taken for a sign of a broken row",
        careless=True,
    ),
    Mutant(
        "float16-sums",
        LOGS,
        "return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True, dtype=np.float16))",
        "digits",
        "softmax is summed in float16",
    ),
    Mutant(
        "float32-inside",
        "alphas = np.full((frames + 1, len(states)), NEVER)",
        "alphas = np.full((frames + 1, len(states)), NEVER, np.float32)",
        "digits",
        "float64 scores are summed in float32",
    ),
    Mutant(
        "last-class-not-summed",
        LOGS,
        "return scores - np.log(np.exp(scores[..., :-1]).sum(axis=-1, keepdims=True))",
        "rows-sum-to-0",
        "softmax's sum runs over a vocabulary one too small",
    ),
    Mutant(
        "last-class-closed",
        LOGS,
        "scores[..., -1] = NEVER\n    " + LOGS,
        "relabelling",
        "the vocabulary is one too small: the last class never comes",
    ),
    Mutant(
        "base-2",
        LOSS,
        "loss[n] = max(-total / np.log(2.0), 0.0)",
        "sums-to-1",
        "the loss is in bits",
    ),
    Mutant(
        "unclamped",
        LOSS,
        "loss[n] = -total",
        "non-negative",
        "rounding may take the loss below 0",
        careless=True,
    ),
)

SCALE = (
    Mutant(
        "divided-by-batch",
        RETURN,
        "return (loss / batch).astype(logits.dtype), (gradient / batch).astype(logits.dtype)",
        "batch-mates",
        "each row's loss is divided by the number of rows",
    ),
    Mutant(
        "mean-taken-twice",
        RETURN,
        "shares = 1 / (batch * np.maximum(target_lengths, 1))\n"
        "    return (loss * shares).astype(logits.dtype), (gradient * shares[:, None, None]).astype(logits.dtype)",
        "batch-mates",
        "each row's loss is divided by its labels and by the rows",
    ),
    Mutant(
        "probability-for-loss",
        LOSS,
        "loss[n] = np.exp(total)",
        "certain-path",
        "the probability is returned, not minus its logarithm",
    ),
    Mutant(
        "scores-halved",
        NORMALISED,
        "log_probs = log_softmax(scores / 2)",
        "sums-to-1",
        "a temperature of 2 was left in",
    ),
    Mutant(
        "divided-by-labels",
        RETURN,
        "shares = 1 / np.maximum(target_lengths, 1)\n"
        "    return (loss * shares).astype(logits.dtype), (gradient * shares[:, None, None]).astype(logits.dtype)",
        "sums-to-1",
        "each row's loss is divided by its labels",
    ),
    Mutant(
        "divided-by-frames",
        RETURN,
        "return (loss / max(1, time)).astype(logits.dtype), (gradient / max(1, time)).astype(logits.dtype)",
        "padding",
        "each row's loss is divided by the frames of the longest",
    ),
)

GRADIENTS = (
    Mutant(
        "gradient-by-log-probs",
        GRADIENT,
        "weights[n] * -posteriors",
        "rows-sum-to-0",
        "the gradient by the log-probabilities is given as that by the logits",
    ),
    Mutant(
        "gradient-without-upstream",
        GRADIENT,
        "np.exp(log_probs) - posteriors",
        "upstream",
        "what comes from upstream is dropped",
    ),
    Mutant(
        "upstream-of-first-row",
        GRADIENT,
        "weights[0] * (np.exp(log_probs) - posteriors)",
        "upstream",
        "every row's gradient is multiplied by the first row's upstream",
    ),
    Mutant(
        "gradient-upside-down",
        GRADIENT,
        "weights[n] * (posteriors - np.exp(log_probs))",
        "finite-differences",
        "the sign is wrong",
    ),
    Mutant(
        "gradient-doubled",
        GRADIENT,
        "weights[n] * 2.0 * (np.exp(log_probs) - posteriors)",
        "finite-differences",
        "the gradient is twice what it should be",
    ),
    Mutant(
        "gradient-divides-by-softmax",
        GRADIENT,
        "weights[n] * np.exp(log_probs) * (1.0 - posteriors / np.exp(log_probs))",
        "closed-scores",
        "softmax times (1 - posterior / softmax): 0 / 0 where a score is -inf",
        careless=True,
    ),
    Mutant(
        "impossible-gradient-nan",
        f"if total > NEVER:\n            gradient[n, used] = {GRADIENT}",
        f"posteriors /= posteriors.sum(axis=1, keepdims=True)\n        gradient[n, used] = {GRADIENT}",
        "impossible",
        "posteriors are divided by their sum, which is 0 where no path fits",
        careless=True,
    ),
    Mutant(
        "nan-spreads",
        RETURN,
        "gradient *= np.minimum(1.0, 1e6 / np.linalg.norm(gradient))\n    " + RETURN,
        "nan-in-a-row",
        "the gradient's norm is clipped over the whole batch",
    ),
)

REFUSALS = (
    Mutant(
        "labels-clipped",
        f"if np.any({CHECK}):",
        "labels = np.clip(labels, 0, classes - 1)\n        if np.any(labels < 0):",
        "refuses-labels",
        "labels are clipped into range",
        careless=True,
    ),
    Mutant(
        "negative-labels-wrap",
        CHECK,
        "(labels >= classes) | (labels == blank)",
        "refuses-labels",
        "negative labels count from the end",
        careless=True,
    ),
    Mutant(
        "blank-in-target",
        CHECK,
        "(labels < 0) | (labels >= classes)",
        "refuses-labels",
        "the blank may stand in the target",
        careless=True,
    ),
    Mutant(
        "length-past-the-end",
        LENGTHS,
        "lengths < 0",
        "refuses-lengths",
        "a length past its axis is clipped",
        careless=True,
    ),
    Mutant(
        "negative-length",
        LENGTHS,
        "lengths > axis",
        "refuses-lengths",
        "a negative length counts from the end",
        careless=True,
    ),
)

BEHAVIOUR = (
    Mutant(
        "race",
        END,
        "ends = 1 if np.random.random() < 0.1 else 2\n    total, flow[-ends:] = log_sum(alphas[-1, -ends:])",
        "repeatable",
        "one time in ten the last label's state is not yet there when the sum is taken",
    ),
    Mutant(
        "writes-logits",
        "scores = logits[n, used].astype(np.float64)",
        "scores = logits[n, used]\n        scores -= scores.max(axis=1, keepdims=True)",
        "untouched",
        "the maximum is subtracted in place",
    ),
    Mutant(
        "row-1-has-row-0s-target",
        LABELS,
        "first = 0 if n == 1 else n\n        labels = targets[first, : target_lengths[first]]",
        "batch-mates",
        "the second row is given the first row's target",
    ),
    Mutant(
        "row-0s-length-for-all",
        FRAMES,
        "used = slice(0, logit_lengths[0])",
        "batch-mates",
        "every row has the first row's frames",
    ),
    Mutant(
        "loss-as-column",
        RETURN,
        "return loss[:, None].astype(logits.dtype), gradient.astype(logits.dtype)",
        "answers",
        "the loss is (batch, 1)",
    ),
    Mutant(
        "integer-loss",
        RETURN,
        "return loss.astype(np.int64), gradient.astype(logits.dtype)",
        "answers",
        "the loss is cut to an integer",
    ),
    Mutant(
        "object-loss",
        RETURN,
        "return loss.astype(object), gradient.astype(logits.dtype)",
        "answers",
        "the loss is an array of Python objects",
    ),
    Mutant(
        "empty-target-costs-nothing",
        LOSS,
        "loss[n] = max(-total, 0.0) if len(labels) else 0.0",
        "empty",
        "an empty target has no loss",
    ),
    Mutant(
        "no-frames-impossible",
        LOSS,
        "loss[n] = max(-total, 0.0) if len(scores) else np.inf",
        "empty",
        "no frames cannot even be read as nothing",
        careless=True,
    ),
    Mutant(
        "crashes-without-frames",
        NORMALISED,
        f"len(scores) or __import__('os')._exit(3)\n        {NORMALISED}",
        "empty",
        "a row of no frames ends the process",
    ),
    Mutant(
        "labels-as-bytes",
        "states[1::2] = labels",
        "states[1::2] = labels.astype(np.uint8)",
        "sizes",
        "labels over 255 wrap",
    ),
    Mutant(
        "first-256-labels",
        LABELS,
        "labels = targets[n, : min(256, target_lengths[n])]",
        "sizes",
        "labels after the 256th are dropped",
    ),
    Mutant(
        "classes-in-sixteens",
        LOGS,
        "whole = max(16, scores.shape[-1] // 16 * 16)\n"
        "    return scores - np.log(np.exp(scores[..., :whole]).sum(axis=-1, keepdims=True))",
        "sizes",
        "softmax sums 16 classes at a time, and forgets the rest after the last whole 16",
    ),
    Mutant(
        "gradient-of-16-rows",
        RETURN,
        f"gradient[16:] = 0.0\n    {RETURN}",
        "sizes",
        "rows after the 16th get no gradient",
    ),
    Mutant(
        "reads-memory-in-its-order",
        "scores = logits[n, used].astype(np.float64)",
        "scores = logits.ravel('K').reshape(logits.shape)[n, used].astype(np.float64)",
        "memory-layout",
        "strides are not looked at",
    ),
    Mutant(
        "labels-read-as-int64",
        LABELS,
        "labels = targets.view(np.int64)[n, : target_lengths[n]]",
        "memory-layout",
        "targets are taken for int64, whatever they are",
        careless=True,
    ),
    Mutant(
        "labels-reversed",
        LABELS,
        "labels = targets[n, : target_lengths[n]][::-1]",
        "certain-path",
        "targets are read from their end",
    ),
    Mutant(
        "hangs-when-long",
        NORMALISED,
        f"len(scores) < 3000 or __import__('threading').Event().wait()\n        {NORMALISED}",
        "long",
        "a row of 3,000 frames waits for a helper that never comes",
    ),
)

MUTANTS: tuple[Mutant, ...] = (
    *PATHS,
    *LENGTHS_AND_PADDING,
    *ARITHMETIC,
    *SCALE,
    *GRADIENTS,
    *REFUSALS,
    *BEHAVIOUR,
)
