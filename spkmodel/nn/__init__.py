"""Build networks from waveform to embedding: features, pooling, encoders."""
