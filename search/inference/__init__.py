"""Use a model: embed recordings, verify and identify speakers."""
