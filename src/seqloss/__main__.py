"""`python -m seqloss`."""

from seqloss.cli import main

main()
