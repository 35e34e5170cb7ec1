"""From embeddings to figures: scores, normalisation, calibration, EER and minDCF, baselines."""
