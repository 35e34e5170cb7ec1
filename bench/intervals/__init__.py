"""Measure by simulation how often intervals of the EER cover the truth."""
