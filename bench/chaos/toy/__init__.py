"""A search that trains a toy in the place of a network, and the program that runs it."""
