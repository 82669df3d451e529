"""Of each recipe that is scored: the name of a fault or control -> its patches of that recipe."""
