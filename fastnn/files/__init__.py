"""Network files: arrays and a JSON header, written whole or not at all."""
