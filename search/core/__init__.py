"""What every other package needs: errors, paths, locks, redaction, signals, atomic folders."""
