"""How the frames of a picture follow one another, by packets alone: on a grid or not, GOPs closed or open.

Flat in memory: no more than one GOP is remembered, however long the film.
"""

from dataclasses import dataclass, field

#: Of a frame, to either side: what lies nearer than half a frame to its place is put there by the `fps` filter too.
_TOLERANCE = 0.25
_LONGEST_GOP = 1_000  # frames that are remembered: four seconds at 240 frames a second have 960
_LANDMARK_SECONDS = 60.0


@dataclass(kw_only=True)
class Cadence:
    """Reads the packets of a picture in decode order; `interval` is the seconds of one frame.

    The n-th packet is shown as frame s, counted from the first one. Where GOPs are closed and no frame is missing,
    those of each GOP are shown exactly where they were decoded, but for their order.
    """

    interval: float
    packets: int = field(default=0, init=False)
    keyframes: int = field(default=0, init=False)
    reorder: int = field(default=0, init=False)
    landmarks: list[int] = field(default_factory=list, init=False)
    _regular: bool = field(default=True, init=False)
    _open: bool = field(default=False, init=False)
    _intact: bool = field(default=True, init=False)
    _first: float = field(default=0.0, init=False)
    _key: float = field(default=0.0, init=False)  #: when the last keyframe is shown
    _latest: float = field(default=0.0, init=False)  #: the last time so far that a frame is shown
    _begun: int = field(default=0, init=False)  #: number of the frame that began this GOP
    _gop: set[int] = field(default_factory=set, init=False)

    def add(self, shown: float | None, *, key: bool, intact: bool) -> None:
        """A packet that is `shown` at this time in seconds, or nobody knows when."""
        number, self.packets = self.packets, self.packets + 1
        self.keyframes += key
        self._intact &= intact
        if shown is None or self.interval <= 0:
            self._regular, self._open = False, True
            return
        if number == 0:
            self._first = self._key = self._latest = shown
            self._open = not key
        self._cross(shown, key=key)
        if self._regular:
            self._place((shown - self._first) / self.interval, number, key=key)

    @property
    def regular(self) -> bool:
        """Whether every place on the grid has one frame."""
        return self.packets > 0 and self._regular and self._full()

    @property
    def closed(self) -> bool:
        """Whether each keyframe is shown after all that is decoded before it, and before all that is after it."""
        return self.keyframes > 0 and not self._open

    @property
    def intact(self) -> bool:
        """Whether no packet was said not to be."""
        return self.packets > 0 and self._intact

    def _cross(self, shown: float, *, key: bool) -> None:
        if shown < (self._latest if key else self._key):
            self._open = True
        self._latest = max(self._latest, shown)
        if key:
            self._key = shown

    def _place(self, at: float, number: int, *, key: bool) -> None:
        place = round(at)
        if key and number:
            self._regular = place == number and self._full()
            self._begun = number
            self._gop.clear()
        if abs(at - place) > _TOLERANCE or place in self._gop or len(self._gop) >= _LONGEST_GOP:
            self._regular = False
        if not self._regular:
            self._gop.clear()
            return
        self._gop.add(place)
        self.reorder = max(self.reorder, number - place)
        minute = int(number * self.interval / _LANDMARK_SECONDS)
        if key and (not self.landmarks or minute > int(self.landmarks[-1] * self.interval / _LANDMARK_SECONDS)):
            self.landmarks.append(number)

    def _full(self) -> bool:
        """Whether the frames of this GOP are all that belong between its keyframe and the next packet."""
        return not self._gop or (min(self._gop) == self._begun and max(self._gop) == self._begun + len(self._gop) - 1)
