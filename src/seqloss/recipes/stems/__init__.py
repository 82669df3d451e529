"""Words of one stem: a GRU over characters, read right to left; words of a stem close together.

from seqloss.recipes.stems.settings import Settings
from seqloss.recipes.stems.task import StemsTask
from seqloss.training.engine import train

train(StemsTask(Settings(data="words.txt")), Path("runs/mine"))
"""
