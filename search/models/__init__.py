"""Load models from trials, folders, the registry or foreign checkpoints, and register them."""
