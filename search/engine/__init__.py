"""The search on Ray Tune: controller, session, attempts, graceful stop."""
