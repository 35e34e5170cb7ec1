"""What every other package builds on: errors, paths, locks, redaction, signals, progress."""
