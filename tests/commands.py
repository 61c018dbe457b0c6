"""What a command says on standard error."""


def told(err):
    """Return errors and notes, without the progress of training."""
    return "".join(line for line in err.splitlines(True) if line.startswith("fastnn: "))
