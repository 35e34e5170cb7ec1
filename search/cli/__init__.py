"""The command line: each command parses its options, calls one function, and prints its result.

Commands import what they call inside their bodies, so that `--help` and `describe` load neither
Ray, MLflow nor torch.
"""
