"""Run a training as a Ray Tune trainable, and identify the processes around it."""
