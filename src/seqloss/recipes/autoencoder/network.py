"""The autoencoder of windows, or of their differences."""

from __future__ import annotations

from torch import Tensor, nn

from seqloss.recipes.autoencoder.settings import Settings
from seqloss.torch.nn import SequenceAutoencoder, difference


class Network(nn.Module):
    """Windows (batch, steps, channels) to their reconstruction, or to that of their differences.

    Args:
        channels: of the table.
        settings: of the run.
    """

    def __init__(self, channels: int, settings: Settings) -> None:
        super().__init__()
        self.differences = settings.differences
        self.autoencoder = SequenceAutoencoder(
            channels, settings.size, settings.layers, bidirectional=settings.bidirectional,
            decoder_input=settings.decoder,  # type: ignore[arg-type]
        )  # fmt: skip

    def forward(self, windows: Tensor) -> Tensor:
        found: Tensor = self.autoencoder(self.targets(windows))
        return found

    def targets(self, windows: Tensor) -> Tensor:
        """What is to be reconstructed: the windows, or their differences, which are one step shorter."""
        return difference(windows).values if self.differences else windows

    def to_windows(self, windows: Tensor, reconstruction: Tensor) -> Tensor:
        """The reconstruction as windows; with differences, it begins with the true first step."""
        return difference(windows).undo(reconstruction) if self.differences else reconstruction
