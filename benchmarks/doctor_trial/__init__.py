"""Planted faults in small trainings, and what the doctor says about them; started by benchmarks/doctor.py."""
