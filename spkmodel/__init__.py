"""One training of a speaker-verification network; knows nothing of searching."""
