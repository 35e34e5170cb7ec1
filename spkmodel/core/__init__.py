"""Shared by the other packages: checkpoint files, progress reports, names of conditions."""
