"""Check this machine and a cluster, and say what to do about each problem."""
