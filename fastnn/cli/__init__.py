"""What each command of ``python -m fastnn`` does."""
