"""Which checkpoints exist, which are kept, which are intact; where a warm start comes from."""
