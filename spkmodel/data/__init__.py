"""From recordings to crops in memory: audio, lists, corpora, splits, the packed store."""
