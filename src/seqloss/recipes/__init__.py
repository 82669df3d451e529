"""One file per task, readable top to bottom, each training a real recogniser from one command.

* `seqloss.recipes.ocr`: pictures of text to text.
* `seqloss.recipes.run`: the folder that a run lives in: settings, checkpoints, resuming.
"""
