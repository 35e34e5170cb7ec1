"""Commands that start, steer and watch a search."""
