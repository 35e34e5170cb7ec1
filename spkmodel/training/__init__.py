"""One training: batches, optimiser, schedules, stages, averages, epochs, the NaN guard."""
