"""Evaluate a model on a list of pairs: protocol, scores, error rates, subgroups."""
