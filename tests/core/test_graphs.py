"""Graphs of one command that share nothing but the source are kept apart."""

from itertools import pairwise

import ffmpeg

from service.core import graphs


def compiled(*outputs):
    return ffmpeg.compile(ffmpeg.merge_outputs(*outputs))


def complex_graphs(argv: list[str]) -> list[str]:
    return [value for option, value in pairwise(argv) if option == "-filter_complex"]


def test_branches_of_one_split_stay_together_and_others_get_a_graph_each():
    """Chains are told apart by their labels; the streams of a file connect nothing."""
    source = ffmpeg.input("in")
    both = source["0"].filter_multi_output("split", 2)
    rungs = [ffmpeg.output(both[at].filter("scale", 2 * at + 2, 2), f"{at}.mp4") for at in range(2)]
    sheet = ffmpeg.output(source["0"].filter("fps", 1).filter("tile", "2x2"), "sheet.jpg")
    sound = ffmpeg.output(source["1"].filter("aresample", 48_000), "sound.mp4")
    argv = compiled(*rungs, sheet, sound)
    assert [
        "[0:0]split=2[s0][s1];[s0]scale=2:2[s2];[s1]scale=4:2[s3]",
        "[0:0]fps=1[s4];[s4]tile=2x2[s5]",
        "[0:1]aresample=48000[s6]",
    ] == complex_graphs(graphs.apart(argv))
    rest = [part for part in graphs.apart(argv) if part not in {"-filter_complex", *complex_graphs(graphs.apart(argv))}]
    assert [part for part in argv if part not in {"-filter_complex", *complex_graphs(argv)}] == rest


def test_chains_that_meet_late_are_one_graph():
    """What two inputs flow into connects all that came before."""
    source = ffmpeg.input("in")
    mixed = ffmpeg.filter([source["0"].filter("volume", 1), source["1"].filter("volume", 2)], "amix")
    argv = compiled(ffmpeg.output(mixed.filter("anull"), "mixed.mp4"))
    assert 1 == len(complex_graphs(graphs.apart(argv)))
    assert sorted(complex_graphs(argv)[0].split(";")) == sorted(complex_graphs(graphs.apart(argv))[0].split(";"))


def test_a_command_without_filters_stays_as_it_is():
    """Copies and probes have no graph."""
    argv = compiled(ffmpeg.output(ffmpeg.input("in")["0"], "out.mp4", c="copy"))
    assert argv == graphs.apart(argv)
