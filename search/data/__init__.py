"""Find and open a corpus: in a folder, at a URI, or a public one by name."""
