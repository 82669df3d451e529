"""Small trainings, each a complete script as a user writes it, from the data to the loop.

They share no code on purpose: a fault is a patch of the source of one of them, and users' trainings differ.
"""
