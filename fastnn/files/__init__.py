"""Files of networks: arrays and a JSON header, written whole or not at all."""
