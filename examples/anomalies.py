"""Find anomalies in a table of numbers: an autoencoder of windows in your own loop, scores, precision and recall.

    pip install "seqloss[torch]"
    python examples/anomalies.py

Without `--data TABLE.csv`, the table is synthetic. The first three fifths are trained, the next gives the usual errors
and the threshold, the last is the test: each window as it is, and with a channel that hangs. The last line is the share
of windows that are judged wrongly.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from seqloss.data import cut_windows, make_rows_error
from seqloss.data.number_tables import read_number_table
from seqloss.data.synthetic_signals import make_signals
from seqloss.numpy import ErrorDistribution, choose_threshold, measure_detection
from seqloss.torch.nn import SequenceAutoencoder

STEPS = 24


def plant_anomalies(windows, rng):
    """In each window, one channel hangs for half of the time."""
    planted = windows.copy()
    for window in planted:
        start, channel = rng.integers(0, STEPS // 2), rng.integers(0, windows.shape[2])
        window[start : start + STEPS // 2, channel] = window[start, channel]
    return planted


def reconstruct_errors(model, windows):
    """Absolute errors (windows, steps, channels)."""
    with torch.no_grad():
        return np.abs(model(torch.from_numpy(windows)).numpy() - windows)


def main():
    parser = argparse.ArgumentParser(description="Find anomalies in a table of numbers.")
    parser.add_argument("--data", type=Path, help="a CSV file of numbers, a row for each time step")
    path, values = parser.parse_args().data, make_signals(3000, seed=0)
    if path is not None:
        table, bad = read_number_table(path)
        if bad:
            raise make_rows_error(bad, skippable=False)
        values = table.values
    ends = [len(values) * part // 5 for part in (3, 4)]
    deviation = values[: ends[0]].std(0)
    deviation[deviation == 0] = 1  # of a constant channel
    values = (values - values[: ends[0]].mean(0)) / deviation
    train, validation, test = (cut_windows(part, STEPS, 4) for part in np.split(values.astype(np.float32), ends))
    torch.manual_seed(0)
    model = SequenceAutoencoder(values.shape[1], hidden_size=32)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for epoch in range(1, 31):
        for rows in torch.randperm(len(train)).split(32):
            batch = torch.from_numpy(train[rows.numpy()])
            loss = (model(batch) - batch).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if epoch % 10 == 0:
            print(f"epoch {epoch}: mean squared error {np.square(reconstruct_errors(model, validation)).mean():.3f}")
    errors = reconstruct_errors(model, validation)
    distribution = ErrorDistribution.fit(errors)  # of the errors of single steps
    threshold = choose_threshold(distribution.score(errors).max(1), quantile=0.99)
    planted = plant_anomalies(test, np.random.default_rng(1))
    scores = np.concatenate([distribution.score(reconstruct_errors(model, rows)).max(1) for rows in (test, planted)])
    anomalous = np.arange(len(scores)) >= len(test)
    found = measure_detection(scores, anomalous, threshold)
    print(f"score above {threshold:.0f}: precision {found.precision:.1%}, recall {found.recall:.1%}")
    print(f"error rate: {np.mean((scores > threshold) != anomalous):.1%} of {len(scores)} windows")


if __name__ == "__main__":
    main()
