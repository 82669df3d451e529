"""Lightning callbacks for any module: what tells a training that learns from one that does not.

    Trainer(callbacks=[GradientFlow(), BlankShare()])

* `GradientFlow`: how much gradient reaches each layer. * `BlankShare`: how many frames say nothing.
"""

from seqloss.doctor.lightning.callbacks import BlankShare, GradientFlow, blank_share

__all__ = ["BlankShare", "GradientFlow", "blank_share"]
