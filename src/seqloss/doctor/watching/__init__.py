"""What is checked while a model trains; one file each.

* `watch`: follows a training through the hooks of its optimiser and decides what is looked at.
* `looks`: at which steps, within a share of the training's time.
* `window`: the batches between two steps of the optimiser, and their gradient computed again.
* `apart`: calls of a model that nothing else notices, with `copies` of batches and the loss's variables (`outside`).
* `gradients`, `accumulation`, `lost`, `ranks`, `updates`, `stepping`, `not_finite`, `modes`: laws and statistics of
  steps; `calls` sees backward().
* `view`: the model's outputs on a batch in evaluation mode; `exchange`, `blanks`, `spread`, `units`, `worst_rows`,
  `train_and_eval` judge them.
"""
