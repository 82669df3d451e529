"""Tools that show whether a model learns, and why not.

* `seqloss.doctor.sanity_checks`: what to check before a training is believed.
"""
