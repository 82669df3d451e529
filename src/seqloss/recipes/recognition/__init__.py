"""Shared by recipes that map frames to text with CTC: vocabulary, loss, metrics, checks, transcripts, report."""
