"""The experiment notebook: print it, append to it, replay its entries, test its claims."""
