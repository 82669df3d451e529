"""Lightning callbacks for any module.

    Trainer(callbacks=[GradientFlow(), BlankShare()])

* `GradientFlow`: logs the gradient that reaches each layer.
* `BlankShare`: logs the share of frames whose most probable class is the blank.
* `blank_share`: computes this share.
"""

from seqloss.doctor.lightning.callbacks import BlankShare, GradientFlow, blank_share

__all__ = ["BlankShare", "GradientFlow", "blank_share"]
