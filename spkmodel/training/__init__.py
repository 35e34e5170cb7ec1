"""Train a network: batches, optimiser, schedules, stages, averages, epochs, the NaN guard."""
