"""The documentation site: pages generated from the program, and checks of what was built."""
