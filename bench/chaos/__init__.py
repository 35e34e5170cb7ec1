"""Faults against a real local search, and what must hold afterwards whatever they were."""
