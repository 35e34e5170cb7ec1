"""Many trainings: launched, scheduled, recorded, browsed, promoted."""
