"""Commands that print what is recorded: spaces, searches, notebooks, the state of the machine."""
