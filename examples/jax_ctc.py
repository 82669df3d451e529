"""Read Morse code with CTC in JAX: padded frames, one compiled training step, greedy decoding, error rate.

    pip install "seqloss[jax]" optax rapidfuzz
    python examples/jax_ctc.py

All rows are padded to FRAMES, so that the step is compiled once; the loss reads each row up to its own end. The last
line is the letter error rate on 200 texts that the network has not seen.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from rapidfuzz.distance import Levenshtein

from seqloss.jax import ctc_greedy, ctc_loss

MORSE = {"E": ".", "T": "-", "A": ".-", "I": "..", "N": "-.", "M": "--", "S": "...", "R": ".-.", "D": "-..", "U": "..-"}
KEYED = {".": "10", "-": "1110", " ": "00"}  # 1 while the key is down, for two or three frames
LETTERS = "-" + "".join(MORSE)  # class 0 is the blank
FRAMES, LABELS, SIZE, DILATIONS = 120, 4, 64, (1, 2, 4)


def make_batch(rows, rng):
    """Random texts; their frames (batch, FRAMES, 1) and labels (batch, LABELS), each with the lengths of its rows."""
    texts = ["".join(rng.choice(list(MORSE), rng.integers(2, LABELS + 1))) for _ in range(rows)]
    signals, frames = np.zeros((rows, FRAMES, 1), np.float32), np.zeros(rows, np.int32)
    targets, labels = np.zeros((rows, LABELS), np.int32), np.array([len(text) for text in texts], np.int32)
    for row, text in enumerate(texts):
        units = "".join(KEYED[mark] for letter in text for mark in MORSE[letter] + " ")
        levels = np.repeat(np.array(list(units), float), rng.integers(2, 4, len(units)))
        frames[row] = len(levels)
        signals[row, : len(levels), 0] = levels + rng.normal(0, 0.1, len(levels))
        targets[row, : len(text)] = [LETTERS.index(letter) for letter in text]
    return texts, signals, frames, targets, labels


def convolve(x, weight, stride=1, dilation=1):  # (batch, time, channels)
    axes = ("NWC", "WIO", "NWC")
    return jax.lax.conv_general_dilated(x, weight, [stride], "SAME", None, [dilation], axes)


def apply(weights, signals, frames):
    """Logits (batch, FRAMES / 2, classes) and the number of output frames of each row."""
    x, frames = jax.nn.relu(convolve(signals, weights[0], stride=2)), (frames + 1) // 2
    real = (jnp.arange(x.shape[1]) < frames[:, None])[:, :, None]
    for weight, dilation in zip(weights[1:-1], DILATIONS, strict=True):  # the padding reaches no row
        x = x + jax.nn.relu(convolve(jax.nn.standardize(x) * real, weight, dilation=dilation))
    return convolve(jax.nn.standardize(x), weights[-1]), frames


def main():
    shapes = [(5, 1, SIZE), *[(3, SIZE, SIZE)] * len(DILATIONS), (1, SIZE, len(LETTERS))]
    keys = jax.random.split(jax.random.key(0), len(shapes))
    weights = list(map(jax.nn.initializers.he_normal(), keys, shapes))
    rng, optimizer = np.random.default_rng(0), optax.adam(5e-3)
    state = optimizer.init(weights)

    def compute_loss(weights, signals, frames, targets, labels):
        logits, frames = apply(weights, signals, frames)
        return ctc_loss(logits, targets, frames, labels, reduction="labels")

    @jax.jit
    def train_step(weights, state, *batch):
        loss, gradient = jax.value_and_grad(compute_loss)(weights, *batch)
        updates, state = optimizer.update(gradient, state)
        return optax.apply_updates(weights, updates), state, loss

    for step in range(1, 301):
        weights, state, loss = train_step(weights, state, *make_batch(16, rng)[1:])
        if step % 100 == 0:
            print(f"step {step}: {loss:.3f} nats/letter")
    texts, signals, frames, *_ = make_batch(200, np.random.default_rng(1))
    found = ["".join(LETTERS[k] for k in row.labels) for row in ctc_greedy(*jax.jit(apply)(weights, signals, frames))]
    print(*(f"{text} -> {read}" for text, read in zip(texts[:3], found, strict=False)), sep="\n")
    print(f"letter error rate: {sum(map(Levenshtein.distance, texts, found)) / len(''.join(texts)):.1%}")


if __name__ == "__main__":
    main()
