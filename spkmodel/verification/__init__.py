"""Evaluate embeddings: scores, normalisation, calibration, EER and minDCF, baselines."""
