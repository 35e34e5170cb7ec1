"""Checkpoints and options of other trainers, read as ours."""
