"""CTC in Keras: `loss.py` the function, `keras_loss.py` the loss object."""
