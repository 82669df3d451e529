"""A word language model whose words are read from their characters; beside it, the same with a table of words.

from seqloss.recipes.charlm.settings import Settings
from seqloss.recipes.charlm.task import CharlmTask
from seqloss.training.engine import train

train(CharlmTask(Settings(data="novels")), Path("runs/mine"))
"""
