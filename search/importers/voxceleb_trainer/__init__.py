"""Coming over from clovaai/voxceleb_trainer: its checkpoints and its options."""
