"""Verify a winner, evaluate it once on the test pairs, register it, describe it."""
