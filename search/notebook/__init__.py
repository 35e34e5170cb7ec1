"""The experiment notebook: its tables, its entries replayed, its claims tested."""
