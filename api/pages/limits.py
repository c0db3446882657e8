"""How often a link may be used: a stuck finger, a mail scanner and a bored script all end here.

Counted in this process alone, and forgotten with it. That is enough: what is guarded are the workflow and the journal
of one invoice, whose link the caller holds; a second process only doubles a figure that is generous already.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from datetime import timedelta

#: More links than this in one span are not remembered; the one that was used longest ago is forgotten first.
_REMEMBERED = 10_000


class Limit:
    """At most `most` uses of one link in any `span`."""

    def __init__(self, most: int, span: timedelta, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._span = span.total_seconds()
        self._clock = clock
        self._uses: OrderedDict[str, deque[float]] = OrderedDict()

    def takes(self, link: str) -> bool:
        """Whether the link may be used once more now; that use is counted."""
        now = self._clock()
        uses = self._uses.setdefault(link, deque())
        self._uses.move_to_end(link)
        while len(self._uses) > _REMEMBERED:
            self._uses.popitem(last=False)
        while uses and uses[0] <= now - self._span:
            uses.popleft()
        if len(uses) >= self._most:
            return False
        uses.append(now)
        return True
