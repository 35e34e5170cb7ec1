"""Connect to Ray, check it before a launch, watch its nodes; the cluster files."""
