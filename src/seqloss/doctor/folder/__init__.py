"""What is wrong with a data folder: its rows, texts and splits, without a model."""
