"""Checkpoints that another trainer saved, as encoders of ours."""
