"""CTC as a good engineer would write it for himself: NumPy, log space, one row after another."""

import numpy as np

NEVER = -np.inf
MASK = 1e8  # a score that far under its frame's largest is closed


def log_softmax(scores):
    best = scores.max(axis=-1, keepdims=True)
    scores = np.where(scores < best - MASK, NEVER, scores - best)
    return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))


def log_sum(ways):
    """Log of the sum over the first axis, and each one's share of it."""
    best = ways.max(axis=0)
    shares = np.exp(ways - np.where(best == NEVER, 0.0, best))
    whole = np.maximum(shares.sum(axis=0), 1.0)
    return best + np.log(whole), shares / whole


def ways_into(alpha, skips):
    """The three ways into each state: from itself, from the one before, over a blank."""
    ways = np.full((3, len(alpha)), NEVER)  # (ways, states)
    ways[0] = alpha
    ways[1, 1:] = alpha[:-1]
    ways[2, 2:] = np.where(skips[2:], alpha[:-2], NEVER)
    return ways


def log_prob(log_probs, labels, blank):
    """Log probability that the frames read as the labels, and the posteriors (time, classes)."""
    frames = len(log_probs)
    states = np.full(2 * len(labels) + 1, blank)
    states[1::2] = labels
    skips = np.zeros(len(states), bool)
    skips[3::2] = labels[1:] != labels[:-1]
    emissions = log_probs[:, states]  # (time, states)
    alphas = np.full((frames + 1, len(states)), NEVER)
    alphas[0, 0] = 0.0
    for t in range(frames):
        alphas[t + 1] = log_sum(ways_into(alphas[t], skips))[0] + emissions[t]
    flow = np.zeros(len(states))
    total, flow[-2:] = log_sum(alphas[-1, -2:])
    posteriors = np.zeros_like(log_probs)
    for t in reversed(range(frames)):
        np.add.at(posteriors[t], states, flow)
        shares = flow * log_sum(ways_into(alphas[t], skips))[1]
        flow = shares[0]
        flow[:-1] += shares[1, 1:]
        flow[:-2] += shares[2, 2:]
    return total, posteriors


@np.errstate(all="ignore")
def ctc(logits, targets, logit_lengths, target_lengths, blank=0, upstream=None):
    """Each row's loss, and the gradient by the logits of the losses weighted by upstream."""
    batch, time, classes = logits.shape
    for lengths, axis in ((logit_lengths, time), (target_lengths, targets.shape[1])):
        if np.any((lengths < 0) | (lengths > axis)):
            raise ValueError(f"lengths from 0 to {axis} were expected, not {lengths}")
    weights = np.ones(batch) if upstream is None else upstream
    loss, gradient = np.zeros(batch), np.zeros(logits.shape)
    for n in range(batch):
        used = slice(0, logit_lengths[n])
        labels = targets[n, : target_lengths[n]]
        if np.any((labels < 0) | (labels >= classes) | (labels == blank)):
            raise ValueError(f"labels from 0 to {classes - 1} without {blank} were expected, not {labels}")
        scores = logits[n, used].astype(np.float64)
        log_probs = log_softmax(scores)
        if np.isnan(log_probs).any():
            loss[n], gradient[n, used] = np.nan, np.nan
            continue
        total, posteriors = log_prob(log_probs, labels, blank)
        loss[n] = max(-total, 0.0)
        if total > NEVER:
            gradient[n, used] = weights[n] * (np.exp(log_probs) - posteriors)
    return loss.astype(logits.dtype), gradient.astype(logits.dtype)
