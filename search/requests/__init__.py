"""Requests to a running search from another terminal: the messages and their mailbox."""
