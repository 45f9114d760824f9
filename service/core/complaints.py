"""What ffmpeg says on standard error while it reads an upload: how often something is wrong, and what it was first.

ffmpeg ends well however much of its input it could not decode; this is the only trace that losses leave. What it
says of healthy files was listed over a corpus: of broadcasts, above all, which begin in the middle of a GOP.
"""

import re
from dataclasses import dataclass, field

_MOST = 100_000  # a hostile file can have millions of them; then nobody reads on
_LENGTH = 160  # of the first one, for an operator

_CONTEXT = re.compile(r"\[([^\]\s]{1,80}) @ 0x[0-9a-f]{1,16}\] ?")
_PATH = re.compile(r"\S*/\S*|\bfile:[^\s:]*:? ?")
_REPEATED = re.compile(r" {4}Last message repeated ([0-9]{1,7}) times")

#: What follows upon a decoder's own complaint about the same packet; from a silent decoder it is the complaint itself.
_VERDICT = re.compile(r"Error while decoding stream|Error submitting (?:a )?packet to decoder|Decoding error:")
_ECHO = re.compile(r"decode_frame\(\) failed|Warning MVs not available")

#: Who can only speak of what is made, or of resampling: muxers, encoders, filters. `NULL` is a parser, `null` a muxer.
_OURS = re.compile(
    r"(?:mp4|null|image2|webp|libx264|libwebp\w*|swscaler|SWR|auto_\w+|Parsed_\w+)$|(?:out|[va]ost|[vaf]f|fc)#|enc:"
)

_HARMLESS = re.compile(
    "|".join(
        (
            # A stream that begins between two keyframes, or whose first frames refer to what was cut off (open GOP).
            r"non-existing [SP]PS",
            r"[VSP]PS id out of range",
            r"decode_slice_header error",
            r"no frame!",
            r"Invalid frame dimensions 0x0",
            r"Could not find ref with POC",
            r"First slice in a frame missing",
            r"mmco: unref short failure",
            r"co located POCs unavailable",
            # Bookkeeping that the pictures and the sound do not depend on.
            r"number of reference frames \([0-9+]+\) exceeds max",
            r"SEI type [0-9]+ size [0-9]+ truncated",
            r"unable to decode APP fields",
            r"Application provided invalid, non monotonically increasing dts",
            r"^Codec AVOption ",
        )
    )
)


@dataclass(kw_only=True)
class Complaints:
    """Reads standard error line by line. `errors` counts what means a loss; `first` is the first of it, printable."""

    errors: int = field(default=0, init=False)
    first: str = field(default="", init=False)
    _said: bool = field(default=False, init=False)  # something that its verdict is still to follow upon
    _counted: int = field(default=0, init=False)  # by the last line

    def read(self, line: str) -> None:
        """One line, without its end."""
        if self.errors >= _MOST:
            return
        if repeated := _REPEATED.fullmatch(line):
            self._count(self._counted * int(repeated[1]))
            return
        contexts, said = _CONTEXT.findall(line[:1000]), _CONTEXT.sub("", line[:1000]).strip()
        if not said or _HARMLESS.search(said) or any(_OURS.match(one) for one in contexts):
            self._counted = 0
            self._said = bool(said)
            return
        verdict = bool(_VERDICT.search(said))
        self._counted = 0 if self._said and (verdict or _ECHO.search(said)) else 1
        self._said = not verdict
        self._count(self._counted)
        if self._counted:
            self.first = self.first or _printable(contexts, said)

    def _count(self, more: int) -> None:
        self.errors = min(_MOST, self.errors + more)


def _printable(contexts: list[str], said: str) -> str:
    who = contexts[-1].rpartition(":")[2].partition(",")[0] if contexts else ""
    text = _PATH.sub("", said)
    whole = f"{who}: {text}" if who and who != "NULL" else text
    return "".join(c if " " <= c <= "~" else "?" for c in whole)[:_LENGTH]
