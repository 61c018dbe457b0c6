"""scikit-learn's own callbacks, which it has from 1.9 on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """There are none."""

    def with_callbacks(method):
        return method


class Support(CallbackSupportMixin):
    """Tells scikit-learn's callbacks of every epoch."""

    @contextmanager
    def _told(self, epochs: int) -> Iterator[Callable[[], bool] | None]:
        """Return what to call after each epoch: it returns whether to end."""
        if not getattr(self, "_skl_callbacks", None) and not hasattr(self, "_parent_callback_ctx"):
            yield None
            return
        whole = self._init_callback_context(max_subtasks=epochs)
        whole.call_on_fit_task_begin(estimator=self)
        contexts = []

        def begin():
            contexts.append(whole.subcontext(task_name="epoch"))
            contexts[-1].call_on_fit_task_begin(estimator=self)

        def tell() -> bool:
            stop = contexts[-1].call_on_fit_task_end(estimator=self)
            if len(contexts) < epochs and not stop:
                begin()
            return stop

        begin()
        try:
            yield tell
        finally:
            whole.call_on_fit_task_end(estimator=self)


__all__ = ["Support", "with_callbacks"]
