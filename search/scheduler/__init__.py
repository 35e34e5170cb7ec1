"""ASHA as pure functions of the state: which trial advances, stops or starts."""
