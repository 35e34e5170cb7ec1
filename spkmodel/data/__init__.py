"""Turn recordings into crops in memory: audio, lists, corpora, splits, the packed store."""
