"""What every recipe is trained with.

================================  ===========================================================================
`seqloss.training.task`           `Task`: what a recipe supplies
`seqloss.training.engine`         `train` (and resume, and measure the best epoch), `overfit`
`seqloss.training.overfit`        the overfit test
`seqloss.training.predictor`      `Predictor`: the best epoch of a run, for new inputs
`seqloss.training.settings`       `TrainingSettings`, `RunOptions`: the options of `seqloss train`
`seqloss.training.batches`        `Source`; the batches of an epoch, from seed and epoch alone
`seqloss.training.optim`          optimizers, learning rate schedule
`seqloss.training.module`         the LightningModule around a task
`seqloss.training.trainer`        Lightning's Trainer, as it is started here; signals
`seqloss.training.best_epoch`     which epoch is kept, and when to stop
`seqloss.training.run`            `Run`: the folder of a run, its files and its lock
`seqloss.training.checkpoints`    checkpoints that survive a kill and contain no code
`seqloss.training.examination`    the laws of a training, checked before its first step
`seqloss.training.findings`       RUN/findings.json: what was found then and later
`seqloss.training.history`        RUN/history.json, from which the report is drawn
`seqloss.training.progress`       progress bar, a line per epoch, the result's lines
================================  ===========================================================================

This package imports nothing by itself; import the module that you need.
"""
