"""Decode the utterances of a corpus on all cores, in a form that goes on where it was killed."""
