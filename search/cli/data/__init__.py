"""Commands about corpora and cluster files."""
