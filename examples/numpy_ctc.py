"""Read dialled telephone numbers with CTC in NumPy alone: a linear model, its gradient by hand, decoding, alignment.

    pip install seqloss
    python examples/numpy_ctc.py

Each key of a telephone sounds as a low and a high tone. The features of a frame are the power at the seven tones. The
gradient with respect to the logits comes with the loss. It prints some decoded numbers, when each key of the first one
was pressed, and the share of wrong ones among 200 numbers that the model has not seen.
"""

import numpy as np

from seqloss.numpy import ctc_align, ctc_greedy, ctc_loss_and_grad

KEYS, LOW, HIGH = "123456789*0#", [697, 770, 852, 941], [1209, 1336, 1477]  # Hz
SYMBOLS = "-" + KEYS  # class 0 is the blank
RATE, HOP = 8000, 160  # samples per second, samples per frame: 20 ms
WAVES = np.exp(-2j * np.pi * np.outer(np.arange(HOP), LOW + HIGH) / RATE)


def dial(number, rng):
    """Features (time, 8) of a dialled number: log power at the seven tones, and a one for the bias."""
    samples = [np.zeros(rng.integers(200, 600))]
    for key in number:
        row, column = divmod(KEYS.index(key), 3)
        time = np.arange(rng.integers(500, 1200)) / RATE
        samples += [np.sin(2 * np.pi * LOW[row] * time) + np.sin(2 * np.pi * HIGH[column] * time)]
        samples += [np.zeros(rng.integers(300, 900))]
    sound = np.concatenate(samples)
    sound += rng.normal(0, 0.7, len(sound))
    frames = sound[: len(sound) // HOP * HOP].reshape(-1, HOP)
    power = np.log(np.abs(frames @ WAVES) ** 2 / HOP + 1)
    return np.concatenate([power / 3, np.ones((len(power), 1))], axis=1)


def make_batch(rows, rng):
    """Random numbers, their padded features (batch, time, 8) and the number of frames of each."""
    numbers = ["".join(rng.choice(list(KEYS), rng.integers(3, 9))) for _ in range(rows)]
    features = [dial(number, rng) for number in numbers]
    frames = np.array([len(row) for row in features])
    return numbers, np.stack([np.pad(row, ((0, frames.max() - len(row)), (0, 0))) for row in features]), frames


def encode(numbers):
    """Classes (batch, labels), padded with 0, and the number of labels of each row."""
    longest = max(map(len, numbers))
    rows = [[SYMBOLS.index(key) for key in number] + [0] * (longest - len(number)) for number in numbers]
    return np.array(rows), np.array([len(number) for number in numbers])


def main():
    rng, weights = np.random.default_rng(0), np.zeros((8, len(SYMBOLS)))
    mean, square = np.zeros_like(weights), np.zeros_like(weights)  # of the gradient, for Adam
    for step in range(1, 501):
        numbers, features, frames = make_batch(16, rng)
        targets, labels = encode(numbers)
        loss, gradient = ctc_loss_and_grad(features @ weights, targets, frames, labels, reduction="labels")
        gradient = np.einsum("ntf,ntc->fc", features, gradient)  # the padding has gradient 0
        mean, square = 0.9 * mean + 0.1 * gradient, 0.99 * square + 0.01 * gradient**2
        weights -= 0.3 * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.99**step)) + 1e-8)
        if step % 100 == 0:
            print(f"step {step}: {loss:.3f} nats/key")

    numbers, features, frames = make_batch(200, np.random.default_rng(1))
    found = ["".join(SYMBOLS[k] for k in row.labels) for row in ctc_greedy(features @ weights, frames)]
    print(*(f"{number} -> {read}" for number, read in zip(numbers[:3], found, strict=False)), sep="\n")
    aligned = ctc_align(features[:1] @ weights, encode(numbers[:1])[0], frames[:1])
    print(
        "seconds:",
        *(f"{key} {first * HOP / RATE:.2f}" for key, first in zip(numbers[0], aligned.first[0], strict=True)),
    )
    wrong = sum(number != read for number, read in zip(numbers, found, strict=True))
    print(f"number error rate: {wrong / len(numbers):.1%}")


if __name__ == "__main__":
    main()
