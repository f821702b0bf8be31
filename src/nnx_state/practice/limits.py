"""How long an attempt may go on: what counts is what it computes, and not what a machine does besides."""

import contextlib
import os
import time
from dataclasses import dataclass, field

COMPUTED, WAITED, LASTED = "computed", "waited", "lasted"  # why an attempt is ended
LEAST = 0.01  # of a processor: an attempt that uses less waits for something
LONGEST = 10  # times the limit: so long may an attempt last, whatever it does


@dataclass
class Limit:
    """The limit of one attempt, and how far it is.

    Attributes:
        seconds: how long the attempt may compute, and how long it may wait at one time.
        start: when the attempt began, in seconds.
        busy: when it was last known not to wait.
        computed: how many seconds it had computed by then.
    """

    seconds: float
    start: float = field(default_factory=time.monotonic)
    busy: float = field(init=False)
    computed: float = 0.0

    def __post_init__(self) -> None:
        self.busy = self.start

    def reached(self, now: float, computed: float) -> str:
        """Return why an attempt is to be ended, or nothing if it may go on.

        Several processors can compute for more seconds than pass: an attempt may always last as long as it may compute.

        Args:
            now: the time, in seconds.
            computed: how long all that belongs to the attempt has computed, in seconds.
        """
        if abs(computed - self.computed) >= LEAST * self.seconds:
            self.busy, self.computed = now, computed
        if now - self.start >= self.seconds and computed >= self.seconds:
            return COMPUTED
        if now - self.busy >= self.seconds:
            return WAITED
        if now - self.start >= LONGEST * self.seconds:
            return LASTED
        return ""


def computed(lasted: float) -> float:
    """Return how many seconds the processes that this one has started, and those that they have, have computed.

    Args:
        lasted: how long they are there, in seconds; it is returned where the system does not tell.
    """
    import resource

    import psutil  # which a short attempt does not need

    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = ended.ru_utime + ended.ru_stime
    try:
        processes = psutil.Process(os.getpid()).children(recursive=True)
    except (OSError, psutil.Error):
        return lasted
    for process in processes:
        with contextlib.suppress(psutil.Error):  # it has ended meanwhile; whoever waited for it has its times
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total
