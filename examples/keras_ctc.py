"""Read Morse code with CTC in Keras, on any of its backends: `compile`, `fit`, greedy decoding after `fit`, error rate.

    pip install "seqloss[keras,torch]" rapidfuzz
    KERAS_BACKEND=torch python examples/keras_ctc.py

KERAS_BACKEND may also be jax or tensorflow. The input says frame by frame whether the key is down; rows end in silence,
so that all frames are in use. The labels of shorter texts are padded with -1. The last line is the letter error rate on
200 texts that the network has not seen.
"""

import keras
import numpy as np
from rapidfuzz.distance import Levenshtein

from seqloss.keras import CTC, ctc_greedy

MORSE = {"E": ".", "T": "-", "A": ".-", "I": "..", "N": "-.", "M": "--", "S": "...", "R": ".-.", "D": "-..", "U": "..-"}
KEYED = {".": "10", "-": "1110", " ": "00"}  # 1 while the key is down, for two or three frames
LETTERS = "-" + "".join(MORSE)  # class 0 is the blank
FRAMES, LABELS = 120, 4


def make_data(rows, seed):
    """Random texts, their frames (rows, FRAMES, 1), and their labels (rows, LABELS), padded with -1."""
    rng = np.random.default_rng(seed)
    texts = ["".join(rng.choice(list(MORSE), rng.integers(2, LABELS + 1))) for _ in range(rows)]
    signals = rng.normal(0, 0.1, (rows, FRAMES, 1)).astype(np.float32)
    labels = np.full((rows, LABELS), -1)
    for row, text in enumerate(texts):
        units = "".join(KEYED[mark] for letter in text for mark in MORSE[letter] + " ")
        levels = np.repeat(np.array(list(units), float), rng.integers(2, 4, len(units)))
        signals[row, : len(levels), 0] += levels
        labels[row, : len(text)] = [LETTERS.index(letter) for letter in text]
    return texts, signals, labels


def make_model(size=64):
    """Frames (batch, FRAMES, 1) to logits (batch, FRAMES / 2, classes), without a softmax."""
    signals = keras.Input((FRAMES, 1))
    x = keras.layers.Conv1D(size, 5, strides=2, padding="same", activation="relu")(signals)
    for dilation in (1, 2, 4):
        normed = keras.layers.LayerNormalization()(x)
        x = x + keras.layers.Conv1D(size, 3, padding="same", dilation_rate=dilation, activation="relu")(normed)
    return keras.Model(signals, keras.layers.Dense(len(LETTERS))(keras.layers.LayerNormalization()(x)))


def main():
    keras.utils.set_random_seed(0)
    _, signals, labels = make_data(1024, seed=0)
    model = make_model()
    model.compile(keras.optimizers.Adam(5e-3), loss=CTC(padding=-1))
    model.fit(signals, labels, batch_size=16, epochs=5, verbose=2)

    texts, signals, _ = make_data(200, seed=1)
    found = ["".join(LETTERS[k] for k in row.labels) for row in ctc_greedy(model.predict(signals, verbose=0))]
    print(*(f"{text} -> {read}" for text, read in zip(texts[:3], found, strict=False)), sep="\n")
    print(f"letter error rate: {sum(map(Levenshtein.distance, texts, found)) / len(''.join(texts)):.1%}")


if __name__ == "__main__":
    main()
