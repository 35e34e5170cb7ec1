"""Commands about models: evaluate, import."""
