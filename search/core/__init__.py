"""Errors, paths, locks, redaction, signals and progress, on which all packages build."""
