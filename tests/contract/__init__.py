"""The contract, held against every door: one adapter a door, one table of tolerances, the same tests for all."""
