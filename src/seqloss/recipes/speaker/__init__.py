"""Who speaks: log-mel features, convolutions, mean and deviation over time; recordings of a speaker close together.

from seqloss.recipes.speaker.settings import Settings
from seqloss.recipes.speaker.task import SpeakerTask
from seqloss.training.engine import train

train(SpeakerTask(Settings(data="recordings")), Path("runs/mine"))
"""
