"""What both tables of mutants have in common: the text of each entry stands in its file, and its test exists."""
