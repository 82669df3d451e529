"""Losses other than CTC, one per file: validate, compute a formula of `seqloss.formulas`, reduce."""
