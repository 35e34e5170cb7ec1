"""A model from a trial, a folder, the registry or a foreign checkpoint."""
