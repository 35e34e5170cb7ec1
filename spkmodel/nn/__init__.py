"""Networks from waveform to embedding: features, pooling, encoders."""
