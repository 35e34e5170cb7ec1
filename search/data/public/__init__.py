"""Fetch public corpora by name: catalogue, download, unpacking and conversion."""
