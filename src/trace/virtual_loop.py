# asyncio without sockets, selectors or waiting: an event loop whose clock jumps to the next thing that is due. What a
# program does in an hour of sleeping takes no time, and the order of its tasks is the same in every run.
import asyncio
from asyncio import base_events, events


class VirtualLoop(base_events.BaseEventLoop):
    """An event loop that starts at second 0 and has no input or output. A call to an executor runs at once, in place."""

    def __init__(self):
        super().__init__()
        self._now = 0.0
        self._selector = self  # what _run_once() asks for events, with the time until the next timer

    def time(self):
        return self._now

    def select(self, timeout):
        if timeout is None:
            # A real loop would hang here.
            raise RuntimeError("deadlock: all tasks wait, and nothing is scheduled")
        self._now += max(timeout, 0)
        return ()

    def run_in_executor(self, executor, func, *args):
        self._check_closed()
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    async def getaddrinfo(self, host, port, **options):
        raise OSError("there is no network")

    def _process_events(self, event_list):
        pass

    def _write_to_self(self):
        pass  # what wakes a real loop when another thread has scheduled something


class VirtualPolicy(events._BaseDefaultEventLoopPolicy if hasattr(events, "_BaseDefaultEventLoopPolicy")
                    else events.BaseDefaultEventLoopPolicy):
    _loop_factory = VirtualLoop


def install():
    """From now on asyncio.run and all other ways to a loop give a virtual one."""
    set_policy = getattr(events, "_set_event_loop_policy", events.set_event_loop_policy)  # 3.14 deprecates the public one
    set_policy(VirtualPolicy())
    events._set_running_loop(None)
    asyncio.run = asyncio.runners.run  # Pyodide puts its own in this place
    for name in ("EventLoop", "SelectorEventLoop"):
        setattr(asyncio, name, VirtualLoop)
