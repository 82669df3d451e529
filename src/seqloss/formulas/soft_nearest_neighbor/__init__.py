"""The soft nearest neighbour loss as array operations.

The loss depends on the points through scores s_ij = -distance(x_i, x_j) / temperature alone. `scaling.py` finds points
z with s_ij = -|z_i - z_j|^2 for every metric and temperature, so that the rest knows neither. For each point, the
scores of its own class and those of all other points are summed apart:

    S_i = sum of exp(s_ij) over j != i of its class,    O_i = sum of exp(s_ij) over j of other classes
    loss_i = -log(S_i / (S_i + O_i)) = log(1 + exp(log O_i - log S_i))

which is never below 0, exactly 0 for one class, and precise where it is small. `whole.py` is for a framework that
differentiates, `blocks.py` has the gradient written out and needs memory for a few blocks of scores only.
"""
