"""Lightning callbacks for any module.

    Trainer(callbacks=[WatchTraining(), GradientFlow(), BlankShare()])

* `WatchTraining`: finds out while the model trains why it does not learn.
* `GradientFlow`: logs the gradient that reaches each layer.
* `BlankShare`: logs the share of frames whose most probable class is the blank.
* `blank_share`: computes this share.
"""

from seqloss.doctor.lightning.callbacks import BlankShare, GradientFlow, blank_share
from seqloss.doctor.lightning.watching import WatchTraining

__all__ = ["BlankShare", "GradientFlow", "WatchTraining", "blank_share"]
