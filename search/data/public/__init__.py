"""Public corpora: where they are, how they are brought here, what becomes of them."""
