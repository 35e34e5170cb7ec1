"""Read checkpoints that another trainer saved, as encoders of ours."""
