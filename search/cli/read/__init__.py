"""Commands that read: spaces, searches, the notebook, the state of the machine."""
