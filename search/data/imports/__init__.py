"""Make a corpus of audio and lists in the forms that other tools have; audio is not copied."""
