"""The door: everything that a caller hands in is checked here, once, and only here."""
