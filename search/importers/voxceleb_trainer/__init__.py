"""Convert options of clovaai/voxceleb_trainer; its checkpoints: `search.models.foreign`."""
