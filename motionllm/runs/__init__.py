"""Runs: their folder and log, checkpoints, signals, progress, the number type."""
