"""What is wrong with a command itself, whatever the files hold."""


class UsageError(ValueError):
    """An option that is wrong, or wrong beside others; the exit status is then 2, not 1."""


def need(condition: bool, message: str) -> None:
    """Raise UsageError unless the condition holds."""
    if not condition:
        raise UsageError(message)
