"""What another terminal asks of a running search: messages, and the mailbox they lie in."""
