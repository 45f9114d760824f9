"""What ffmpeg's complaints mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.complaints import Complaints

# What ffmpeg 5.1.9 said, each line of a file that is well unless the name of the case says otherwise.
BROADCAST = [
    "[h264 @ 0x55d0c8a1b240] non-existing PPS 0 referenced",
    "    Last message repeated 1 times",
    "[h264 @ 0x55d0c8a1b240] decode_slice_header error",
    "[h264 @ 0x55d0c8a1b240] no frame!",
    "[hevc @ 0x55d0c8a1b240] PPS id out of range: 0",
    "[hevc @ 0x55d0c8a1b240] Could not find ref with POC 6",
    "[mpeg2video @ 0x55d0c8a1b240] Invalid frame dimensions 0x0.",
]
OPEN_GOP = ["[h264 @ 0x5600] mmco: unref short failure", "[h264 @ 0x5600] co located POCs unavailable"]
BOOKKEEPING = [
    "[h264 @ 0x5600] SEI type 5 size 2208 truncated at 2207",
    "[mjpeg @ 0x5600] unable to decode APP fields: Invalid data found when processing input",
    "[null @ 0x5600] Application provided invalid, non monotonically increasing dts to muxer in stream 0: 5 >= 4",
]
OUR_OWN = [
    "[mp4 @ 0x5600] pts has no value",
    "[libx264 @ 0x5600] non-strictly-monotonic PTS",
    "[vost#0:0/libx264 @ 0x5600] [enc:libx264 @ 0x5601] anything",
    "[Parsed_ebur128_0 @ 0x5600] anything",
]
FLAC = [
    "[flac @ 0x5600] invalid residual",
    "[flac @ 0x5600] decode_frame() failed",
    "Error while decoding stream #0:0: Invalid data found when processing input",
]
VP9 = ["Error while decoding stream #0:0: Invalid data found when processing input"] * 2
NEWER = [
    "[vist#0:0/vp9 @ 0x5600] [dec:vp9 @ 0x5601] Error submitting packet to decoder: Invalid data found",
    "[in#0/ogg @ 0x5602] Error during demuxing: Invalid data found when processing input",
]


@pytest.mark.parametrize(
    ("lines", "errors", "first"),
    [
        pytest.param(BROADCAST, 0, "", id="begins between two keyframes"),
        pytest.param(OPEN_GOP, 0, "", id="trimmed in an open GOP"),
        pytest.param(BOOKKEEPING, 0, "", id="bookkeeping"),
        pytest.param(OUR_OWN, 0, "", id="what is made, not what is read"),
        pytest.param(["", "   "], 0, "", id="blank"),
        pytest.param(FLAC, 1, "flac: invalid residual", id="one packet, three lines"),
        pytest.param(FLAC * 3, 3, "flac: invalid residual", id="three packets"),
        pytest.param(VP9, 2, VP9[0], id="a decoder that says nothing itself"),
        pytest.param(
            NEWER, 2, "vp9: Error submitting packet to decoder: Invalid data found", id="in the words of ffmpeg 7"
        ),
        pytest.param(
            ["[ogg @ 0x5600] CRC mismatch!", "    Last message repeated 41 times"],
            42,
            "ogg: CRC mismatch!",
            id="repeats",
        ),
        pytest.param([*BROADCAST, *FLAC], 1, "flac: invalid residual", id="well, then not"),
        pytest.param([*OPEN_GOP, VP9[0]], 0, "", id="what follows upon something harmless"),
        pytest.param(
            ["file:in: Invalid data found when processing input"],
            1,
            "Invalid data found when processing input",
            id="no file is named",
        ),
        pytest.param(
            ["[mov,mp4,m4a,3gp,3g2,mj2 @ 0x5600] bad \x1b[31m\x07ü in /tmp/x/in"],
            1,
            "mov: bad ?[31m?? in ",
            id="hostile",
        ),
        pytest.param(["x" * 100_000], 1, "x" * 160, id="long"),
    ],
)
def test_complaints(lines: list[str], errors: int, first: str) -> None:
    """Losses are counted a packet at a time; what healthy files are accused of is not."""
    complaints = Complaints()
    for line in lines:
        complaints.read(line)
    assert (errors, first) == (complaints.errors, complaints.first)


@given(
    st.lists(
        st.one_of(st.text(), st.sampled_from([*BROADCAST, *FLAC, *OUR_OWN, "    Last message repeated 9999999 times"]))
    )
)
def test_any_lines(lines: list[str]) -> None:
    """Whatever is printed, the count is bounded, and what is kept is one short line that can be shown."""
    complaints = Complaints()
    for line in lines:
        complaints.read(line)
    assert 0 <= complaints.errors <= 100_000
    assert len(complaints.first) <= 160
    assert complaints.first.isascii()
    assert complaints.first.isprintable()
