"""The commands of ``fastnn``."""
