"""Connect to Ray, check a cluster before a launch, watch its nodes and slots."""
