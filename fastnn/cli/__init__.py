"""The commands of ``python -m fastnn``."""
