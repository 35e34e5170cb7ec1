"""Figures of the reports: each drawn wide and narrow, as SVG inside a page and as PNG beside it."""
