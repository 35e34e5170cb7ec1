"""Simulated searches: this project's own controller beside other tools, on known curves."""
