"""One file per task, readable top to bottom, each training a real recogniser from one command.

* `seqloss.recipes.ocr`: pictures of text to text.

What every recipe stands on: `run` (the folder that a run lives in), `checkpoints`, `trainer` (Lightning's, as it is
started here), `progress` (what a person sees).
"""
