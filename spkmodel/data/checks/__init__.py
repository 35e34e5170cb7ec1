"""Look through a corpus, and tell everything that is wrong with it or worth knowing."""
