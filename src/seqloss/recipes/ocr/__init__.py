"""Images of text lines to text: convolutions, a bidirectional LSTM, CTC.

from seqloss.recipes.ocr.settings import Settings
from seqloss.recipes.ocr.task import OcrTask
from seqloss.training.engine import train

train(OcrTask(Settings(data="images")), Path("runs/mine"))
"""
