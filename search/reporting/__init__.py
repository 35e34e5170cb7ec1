"""Tables, JSON documents, snapshots and figures; the terminal."""
