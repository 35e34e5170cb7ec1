"""From a launch request to a running search: settings, background, Ray job, follow."""
