"""scikit-learn's own callbacks, which it has from 1.9 on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """There are none."""

    def with_callbacks(method):
        return method


PREFIXES = "_skl_callback", "_callback_fit"
"""How the names of attributes begin that scikit-learn sets and deletes around a fit."""


class Support(CallbackSupportMixin):
    """Tells scikit-learn's callbacks of every epoch."""

    _shown: Any

    @contextmanager
    def _told(
        self, epochs: int, networks: list, **data: Any
    ) -> Iterator[Callable[[], bool] | None]:
        """Return what to call after each epoch: it returns whether to end.

        Callbacks can ask for the `data`, and for an estimator with the `networks`: after an epoch
        with the first alone, as others are in the midst of theirs.
        """
        if not getattr(self, "_skl_callbacks", None) and not hasattr(self, "_parent_callback_ctx"):
            yield None
            return
        whole = self._init_callback_context(max_subtasks=epochs)
        whole_state, epoch_state = (
            {"reconstruction_attributes": partial(self._shown, some), "estimator": self, **data}
            for some in (networks, networks[:1])
        )
        whole.call_on_fit_task_begin(**whole_state)
        contexts = []

        def begin():
            contexts.append(whole.subcontext(task_name="epoch"))
            contexts[-1].call_on_fit_task_begin(**epoch_state)

        def tell() -> bool:
            stop = contexts[-1].call_on_fit_task_end(**epoch_state)
            if len(contexts) < epochs and not stop:
                begin()
            return stop

        begin()
        try:
            yield tell
        finally:
            whole.call_on_fit_task_end(**whole_state)


def for_members(tell: Callable[[], bool] | None, count: int) -> list[Callable[[], bool] | None]:
    """Return what each member calls after an epoch: the first tells, and all stop with it."""
    if tell is None:
        return [None] * count
    answers: list[bool] = []

    def first() -> bool:
        answers.append(tell())
        return answers[-1]

    return [first, *[lambda: any(answers[-1:])] * (count - 1)]


__all__ = ["PREFIXES", "Support", "for_members", "with_callbacks"]
