"""One encoded track of a stream, packetised once: what a viewer begins with, and who gets what comes."""

from collections.abc import Callable

from workloads.webrtc.packets import Frame

MAX_GROUP_FRAMES = 900
MAX_GROUP_BYTES = 16 * 1024 * 1024

Push = Callable[[Frame], None]


class Track:
    """`add` frames in decode order; listeners get each of them at once. `group` are those since the last key frame."""

    def __init__(self, name: str, *, kbps: int = 0, keeps_group: bool = True) -> None:
        self.name = name
        self.kbps = kbps
        self.group: list[Frame] = []
        self.last_time = -1
        self._keeps_group = keeps_group
        self._group_bytes = 0
        self._listeners: dict[object, Push] = {}

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)

    def listen(self, who: object, push: Push) -> None:
        """Call `push` with every frame from now on; one call each, again replaces it."""
        self._listeners[who] = push

    def leave(self, who: object) -> None:
        """Call no more."""
        self._listeners.pop(who, None)

    def add(self, frame: Frame) -> None:
        """The next frame; one that is not later than the last is a replay and dropped."""
        if frame.time <= self.last_time or not frame.pieces:
            return
        self.last_time = frame.time
        if self._keeps_group:
            self._remember(frame)
        for push in list(self._listeners.values()):
            push(frame)

    def _remember(self, frame: Frame) -> None:
        if frame.key:
            self.group, self._group_bytes = [], 0
        elif not self.group:
            return
        self.group.append(frame)
        self._group_bytes += frame.size
        if len(self.group) > MAX_GROUP_FRAMES or self._group_bytes > MAX_GROUP_BYTES:
            self.group, self._group_bytes = [], 0
