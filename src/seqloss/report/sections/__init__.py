"""The sections that every report has, one per file."""
