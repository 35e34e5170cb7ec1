"""What to try next: Optuna's samplers, the search's history and priors from other searches."""
