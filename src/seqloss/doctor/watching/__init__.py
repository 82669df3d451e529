"""What is checked while a model trains; one file each.

* `watch`: the public function; `follower` follows calls of the loss and steps of the optimiser through hooks, and
  decides what is looked at.
* `step_checks`, `output_checks`: all checks of a step, and of the model's outputs; `found` keeps what they find.
* `looks`: at which steps, within a share of the training's time.
* `window`: the batches between two steps of the optimiser, and their gradient computed again.
* `apart`: calls of a model that nothing else notices, with `copies` of batches and the loss's variables (`outside`).
* `gradients`, `accumulation`, `lost`, `ranks`, `updates`, `stepping`, `not_finite`, `modes`: laws and statistics of
  steps; `calls` sees backward().
* `view`: the model's outputs on a batch in evaluation mode; `exchange`, `blanks`, `spread`, `units`, `worst_rows`,
  `train_and_eval` judge them.
"""
