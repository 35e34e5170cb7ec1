"""A model judged on a list of pairs: protocol, scores, error rates, subgroups."""
