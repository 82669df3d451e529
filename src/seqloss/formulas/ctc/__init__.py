"""CTC's loss and gradient in whole arrays: `loss.py`."""
