"""Speech to text: log-mel features, convolutions, a bidirectional LSTM or a Conformer, CTC.

from seqloss.recipes.speech.settings import Settings
from seqloss.recipes.speech.task import SpeechTask
from seqloss.training.engine import train

train(SpeechTask(Settings(data="recordings")), Path("runs/mine"))
"""
