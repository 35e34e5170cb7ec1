"""Measure what large data costs: packing, opening, memory, the first batch."""
