"""A table of real learning curves: many configs trained to the end, for simulated searches."""
