"""Reports as one HTML file: a search, an evaluation, a comparison; and what `compare` computes."""
