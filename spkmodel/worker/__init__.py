"""One training as a Ray Tune trainable, and the processes around it."""
