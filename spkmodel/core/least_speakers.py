"""How many speakers figures need."""

LEAST_SPEAKERS_OF_AN_INTERVAL = 5
"""Of fewer speakers no interval of an EER is given: they cannot tell what it would cover."""
