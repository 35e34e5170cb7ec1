"""What the other packages share: checkpoint files, progress reports, names of conditions."""
