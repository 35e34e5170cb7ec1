"""Where a corpus lies: a folder, a URI, or a public corpus by name."""
