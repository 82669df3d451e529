"""Tests mirror the source; what is common to all frontends is in `contract`."""
