"""When each character and word of a known text is said: needs `seqloss train speech --out runs/digits`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import soundfile
from matplotlib import pyplot
from matplotlib.figure import Figure

from seqloss.data.spoken_digits import RATE, SpokenDigits
from seqloss.recipes import load_task
from seqloss.training.predictor import Predictor
from seqloss.training.run import Run

RUN = Path("runs/digits")


def draw() -> Figure:
    samples, text = SpokenDigits("test", size=20, seed=1).item(epoch=0, index=2)
    with tempfile.TemporaryDirectory() as folder:
        recording = Path(folder) / "test.wav"
        soundfile.write(recording, samples, RATE)
        found = Predictor(load_task(RUN), Run(RUN)).align(recording, text)
    figure, (sound, times) = pyplot.subplots(
        2, 1, figsize=(9, 3.2), sharex=True, layout="constrained", height_ratios=(2, 1)
    )
    sound.specgram(samples, NFFT=512, Fs=RATE, noverlap=384, cmap="magma", vmin=-130)
    sound.set(ylabel="Hz", ylim=(0, 5000))
    for height, tier, color in ((1, "words", "tab:blue"), (0, "characters", "tab:gray")):
        for segment in found.tiers[tier]:
            times.axvspan(segment.start, segment.end, height / 2 + 0.05, height / 2 + 0.45, color=color, alpha=0.3)
            middle = (segment.start + segment.end) / 2
            times.text(middle, height + 0.5, segment.text, ha="center", va="center", fontsize=8)
    times.set(
        yticks=[0.5, 1.5], yticklabels=["characters", "words"], ylim=(0, 2), xlim=(0, found.seconds), xlabel="seconds"
    )
    return figure
