"""Tables of numbers over time: an autoencoder of windows, whose errors tell anomalies.

from seqloss.recipes.autoencoder.settings import Settings
from seqloss.recipes.autoencoder.task import AutoencoderTask
from seqloss.training.engine import train

train(AutoencoderTask(Settings(data="sensors.csv")), Path("runs/mine"))
"""
