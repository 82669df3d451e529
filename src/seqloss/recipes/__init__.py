"""One file per task, readable top to bottom, each training a real recogniser from one command.

* `seqloss.recipes.ocr`: pictures of text to text. Its pictures and batches are in `lines`; `transcriber` reads new
  ones.

What every recipe stands on: `run` (the folder that a run lives in), `checkpoints`, `trainer` (Lightning's, as it is
started here), `first_checks` (before a training is believed), `progress` (what a person sees while it lasts), `history`
and `report` (and afterwards).
"""
