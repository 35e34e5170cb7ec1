"""Search spaces: one file, one question, one function `space(trial) -> TrainConfig`."""
