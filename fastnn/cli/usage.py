"""What is wrong with a command itself, whatever the files hold."""


class UsageError(ValueError):
    """An option that is wrong, or wrong beside others; the exit status is then 2, not 1."""


class ToldElsewhere(Exception):  # noqa: N818  # it is no error of this process
    """Another process has printed why the command ends, with this exit status."""

    def __init__(self, status: int):
        super().__init__(status)
        self.status = status


def need(condition: bool, message: str) -> None:
    """Raise UsageError unless the condition holds."""
    if not condition:
        raise UsageError(message)
