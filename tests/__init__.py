"""Tests mirror the source; what is common to all doors is in `contract`."""
