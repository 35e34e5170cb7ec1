"""What works on this machine and on a cluster, and what to do about what does not."""
