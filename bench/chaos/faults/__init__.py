"""The faults: what each is, how it is injected, and the catalogue of all of them."""
