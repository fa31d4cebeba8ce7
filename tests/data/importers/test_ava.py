import contextlib
import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avsf_det.data.importers import ava
from avsf_det.data.importers.clock import EITHER, FRAMES, SECONDS
from avsf_det.data.importers.export import LABEL
from avsf_det.errors import UserError
from tests.data.importers.files import document

NAMES = st.text(st.characters(categories=("L", "N"), include_characters=" _-'.()&"), min_size=1, max_size=12)
NAMES = NAMES.map(str.strip).filter(lambda name: name and not name.lower().endswith(("jpg", "png", "bmp")))
SHARE = st.integers(0, 1000).map(lambda n: n / 1000)
SIDES = st.lists(SHARE, min_size=2, max_size=2, unique=True).map(sorted)
ROWS = st.lists(
    st.tuples(NAMES, st.integers(0, 1800), SIDES, SIDES, st.integers(1, 80), st.integers(0, 50)),
    min_size=1,
    max_size=8,
    unique_by=lambda row: row[:2],
).map(lambda rows: [(v, t, x[0], y[0], x[1], y[1], a, p) for v, t, x, y, a, p in rows])
HEADER = ("video_id", "middle_frame_timestamp", "x1", "y1", "x2", "y2", "action_id", "person_id")


def table(rows, delimiter=",", newline="\n", quoted=False, comma=False):
    """The text of a table."""

    def cell(value):
        text = f"{value:g}" if isinstance(value, float) else str(value)
        text = text.replace(".", ",") if comma and isinstance(value, float) else text
        return f'"{text}"' if quoted else text

    return "".join(delimiter.join(map(cell, row)) + newline for row in rows)


def read(content, name="rows.csv"):
    file = document(content, name)
    assert ava.recognises(file)
    return ava.read(file)


def flat(export):
    """(video, place, box, action, person) of each row, sorted."""
    return sorted(
        (video.names[0], float(track.places[0]), tuple(track.boxes[0]), track.values[0][LABEL], track.person)
        for video in export.videos
        for track in video.tracks
    )


@given(
    rows=ROWS,
    header=st.booleans(),
    quoted=st.booleans(),
    persons=st.booleans(),
    newline=st.sampled_from(["\n", "\r\n"]),
    form=st.sampled_from([(",", False), ("\t", False), (";", False), (";", True), ("|", False), ("\t", True)]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_every_dialect_gives_the_same_rows(rows, header, quoted, persons, newline, form, encoding):
    given_rows = [row[: 8 if persons else 7] for row in rows]
    head = [HEADER[: len(given_rows[0])]] if header else []
    text = table(head + given_rows, form[0], newline, quoted, form[1])
    export = read(text.encode(encoding))
    wanted = [
        (name, float(time), (x1, y1, x2, y2), (str(action),), str(person) if persons else "")
        for name, time, x1, y1, x2, y2, action, person in rows
    ]
    assert not export.bad
    assert flat(export) == sorted(wanted)
    assert all(video.picture == (1, 1) and video.clock.unit == EITHER for video in export.videos)


@given(st.text(max_size=200), st.sampled_from([".csv", ".txt", ".tsv"]))
def test_any_text_is_a_table_or_not_or_one_clear_error(text, suffix):
    file = document(text, f"x{suffix}")
    if ava.recognises(file):
        with contextlib.suppress(UserError):
            ava.read(file)


def test_bad_rows_are_named_by_their_line():
    text = (
        "clip 1,1,0.1,0.1,0.5,0.5,3,0\r\n\r\n"
        "clip 1,two,0.1,0.1,0.5,0.5,3,0\r\n"
        "clip 1,2,0.1,,0.5,0.5,3,0\r\n"
        "clip 1,3\r\n"
        "clip 1,4,0.1,0.1,0.5\r\n"
        ",5,0.1,0.1,0.5,0.5,3,0\r\n"
        "clip 1,6,0.1,0.1,0.5,0.5,,0\r\n"
        "clip 1,nan,0.1,0.1,0.5,0.5,3,0\r\n"
        "clip 1,7,0.1,0.1,0.5,0.5,3,0,,\r\n"
    )
    export = read(text, "odd.csv")
    assert [row[1] for row in flat(export)] == [1, 7]
    assert [line.split(": ")[0] for line in export.bad] == [f"odd.csv:{n}" for n in (3, 4, 6, 7, 8, 9)]
    assert "got 'two' for the time" in export.bad[0] and "got 5 columns" in export.bad[2]


def test_columns_may_come_in_any_order_with_a_header():
    text = "# Label;Frame no.;X min [px];y-min;w;h;track_id;Video ID;subset\nwalk;12;64;48;32;24;-1;a b.mp4;testing\n"
    export = read(text)
    assert flat(export) == [("a b.mp4", 12, (64, 48, 96, 72), ("walk",), "")]
    (video,) = export.videos
    assert video.clock.unit == FRAMES and video.picture is None and video.split == "test"


def test_times_of_day_and_pictures_for_frames():
    assert flat(read("v,0:15:02.5,0.1,0.1,0.5,0.5,3,\n"))[0][1] == 902.5
    export = read("filename,x1,y1,x2,y2,label\nclip 1/000012.jpg,1,1,20,30,sit\n")
    assert flat(export) == [("clip 1", 12, (1, 1, 20, 30), ("sit",), "")] and export.videos[0].clock.unit == FRAMES


def test_fractional_seconds_are_seconds_and_white_space_parts_cells():
    export = read("v1 902.5 0.1 0.1 0.5 0.5 12 3\nv1 903 0.1 0.1 0.5 0.5 12 3\n", "ava_val_v2.2.txt")
    assert [row[1] for row in flat(export)] == [902.5, 903]
    assert export.videos[0].clock.unit == SECONDS and export.videos[0].split == "val"


def test_rows_without_boxes_label_spans_or_whole_videos():
    export = read("video,start,end,label\nclip 1,0.5,2,run\nclip 1,,,indoors\nclip 1,1,2,\n")
    spans = [(span.start, span.end, span.values[LABEL]) for span in export.videos[0].spans]
    assert spans == [(0.5, 2, ("run",)), (None, None, ("indoors",))] and len(export.bad) == 1
    assert any("1 rows without a start or an end" in note for note in export.notes)


@pytest.mark.parametrize("text", ["", "hello\nworld\n", "a,b,c\n1,2,3\n", '{"a": 1}', "video,901\nvideo,902\n"])
def test_other_texts_are_not_taken_for_tables(text):
    assert not ava.recognises(document(text, "x.csv"))


ROW = "clip 1,2,0.1,0.2,0.5,0.6,walk,3"
WANTED = [("clip 1", 2, (0.1, 0.2, 0.5, 0.6), ("walk",), "3")]


@pytest.mark.parametrize(
    "text",
    [
        f"Video_Name,Timestamp,XMin,YMin,XMax,YMax,Label,Track\n{ROW},\n",
        f"# by Petra\n\nvideoId,timestamp,x1,y1,x2,y2,action,trackID,note\n{ROW},x\n",
        f",video_name,timestamp,xmin,ymin,xmax,ymax,label,track\n0,{ROW}\n1,,,,,,,,\n",
        f"0,{ROW}\n1,z{ROW}\n",
        f"sep=;\nSEQUENCE;SEC;x0;y0;x1;y1;CLASS;OBJ_ID\n{ROW.replace(',', ';')}\n",
        "label_id,label_name,vid,t,x,y,w,h,pid\n7,walk,clip 1,2,0.1,0.2,0.4,0.4,3\n",
        "clip,Time (ms),cx,cy,w,h,action,id\nclip 1,2000,0.3,0.4,0.4,0.4,walk,3\n",
    ],
)
def test_headers_of_strangers(text):
    found = flat(read(text))[:1]
    assert [(a, b, pytest.approx(c), d, e) for a, b, c, d, e in WANTED] == found


def test_rows_without_a_video_are_of_the_one_that_is_called_as_the_file():
    export = read("frame,id,x,y,w,h,label\n12,3,10,20,30,40,walk\n", "clip 1.csv")
    assert flat(export) == [("clip 1", 12, (10, 20, 40, 60), ("walk",), "3")]
    assert any("no column of the video" in note for note in export.notes)


def test_a_header_that_lacks_a_column_names_it():
    with pytest.raises(UserError, match=r"x.csv: no column of video,t,x,y,w,h is known for the action; name"):
        ava.read(document("video,t,x,y,w,h\na,1,1,1,9,9\n", "x.csv"))


def test_one_slip_does_not_make_shares_pixels_and_sizes_of_pictures_are_kept():
    export = read(f"{ROW}\n{ROW}\n{ROW.replace('0.5', '50')}\n")
    assert export.videos[0].picture == (1, 1) and "rows.csv:3: box 0.1,0.2,50,0.6 reaches beyond 2" in export.bad[0]
    text = "filename,width,height,class,xmin,ymin,xmax,ymax\nclip 1/0007.jpg,1280,720,walk,10,20,300,400\n"
    (video,) = read(text).videos
    assert video.picture == (1, 1) and video.tracks[0].boxes[0] * [1280, 720, 1280, 720] == pytest.approx(
        [10, 20, 300, 400]
    )


def spans(export):
    return [(span.start, span.end, *span.values[LABEL]) for video in export.videos for span in video.spans]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("video,time,lo_x,lo_y,hi_x,hi_y,label\na,1,0.1,0.1,0.3,0.9,run\n", "time, lo_x, lo_y, hi_x, hi_y may be"),
        ("video,when,label\na,1.0-4.0,run\n", "when may be"),
        ("video,foo,label\na,1.5,run\na,2.5,sit\n", "foo may be"),
        ("video,time,label\na,1,run\n", "time may be"),
        ("video,start,label\na,1,run\n", "known for the end"),
        ("video,x1,y1,x2,y2,label\nclip,0.1,0.1,0.3,0.9,run\n", ""),
        ("video,time,x,y,label\na,1,5,5,run\n", "right side of the box"),
        ("video,run,sit\na,0.9,0.1\n", ""),
        ("video,lo,hi\na,0,1\nb,0,1\n", ""),
        ("youtube_id,time_start,time_end\na,1,4\n", "known for the action"),
        ('video,shape,label\na,"{""x"":64,""y"":72,""width"":256,""height"":144}",run\n', "shape may be"),
        ("video,scene,actions\na,kitchen,c001 1.0 4.0;c002 5.0 9.0\n", ""),
        ("video,start_ms,end_ms,label\na,1.000,4.000,run\n", "point for thousands or for decimals"),
    ],
)
def test_a_table_that_may_have_times_or_boxes_never_labels_whole_videos(text, named):
    file = document(text, "x.csv")
    try:
        export = ava.read(file)
    except UserError as error:
        assert named in str(error) and str(error).startswith("x.csv")
    else:
        assert not export.videos and export.bad


@pytest.mark.parametrize(
    "text",
    [
        "video,label\na,run\nb,sit\n",
        "video,label,fps,width,height,duration\na,run,25,640,360,9.5\nb,sit,25,640,360,8\n",
        "a.mp4,run\nb.mp4,sit\n",
        "video,run,sit\na,1,0\nb,0,1\n",
    ],
)
def test_labels_of_whole_videos_are_read_where_nothing_else_is_there(text):
    assert spans(read(text)) == [(None, None, "run"), (None, None, "sit")]


@pytest.mark.parametrize(
    "text",
    [
        "video,start,duration,label\na,1,3,run\na,5,4,sit\n",
        "video;Beginn;Ende;Verhalten\na;1,0;4;run\na;5;9,0;sit\n",
        'video,segment,label\na,"[1, 4]",run\na,5-9,sit\n',
        "video,start,end,label\na,00:00:01,0:04,run\na,PT5S,9 s,sit\n",
        "video,start_ms,end_ms,label\na,1000,4000,run\na,5000,9000,sit\n",
        "video,start,end,run,sit\na,1,4,1,0\na,5,9,0,1\n",
        "tier\t\t00:00:01.000\t00:00:04.000\t00:00:03.000\trun\ntier\t\t00:00:05.000\t00:00:09.000\t00:00:04.000\tsit\n",
        "Observation\tone\n\nTime\tMedia file path\tFPS\tSubject\tBehavior\tStatus\n1\ta.mp4\t25\tx\trun\tSTART\n"
        "4\ta.mp4\t25\tx\trun\tSTOP\n5\ta.mp4\t25\tx\tsit\tSTART\n9\ta.mp4\t25\tx\tsit\tSTOP\n",
        "1.0\t4.0\trun\n5.0\t9.0\tsit\n",
        "video,time,duration,label\na,1,3,run\na,5,4,sit\n",
        "classname,youtube_id,start,end,label\nrun,a,1,4,1\nsit,a,5,9,1\nsit,a,2,3,-1\n",
    ],
)
def test_spans_are_read_however_they_are_written(text):
    assert spans(read(text)) == [(1, 4, "run"), (5, 9, "sit")]


def test_rows_that_cannot_be_used_are_named_with_line_and_column_and_all_rows_are_counted():
    export = read("video,start,stop,label\na,1,four,run\na,5\na,5,9,sit\na,1,2,3,run\na,1,2,x,run\n")
    assert spans(export) == [(5, 9, "sit")]
    assert export.bad[0] == ("rows.csv:2: got 'four' for the time in column 'stop', expected seconds or a frame number")
    assert "rows.csv: 5 rows: 1 spans, 4 skipped, or joined with others" in export.notes


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("a,1,320,180,64,72,run\na,2,320,180,64,72,sit\n", "are they a width and a height"),
        ("video,start,end,label\na,1,3,run\na,5,4,sit\n", "is it a duration"),
        ('video,time,bbox,label\na,1,"[0.1,0.2,0.4,0.5]",run\n', "may be x1,y1,x2,y2 or x,y,width,height"),
        ('video,start,end,label\na,1,2,"run, sit"\n', "may be one label or several"),
        ('video,start,end,label\na,1,2,"run\na,2,3,sit\n', "x.csv:2: a quote that opens here is not closed"),
        (",".join("abcdefgh" * 400) + "\n", "3200 columns"),
    ],
)
def test_what_may_be_two_things_is_asked_for(text, named):
    with pytest.raises(UserError, match=named):
        ava.read(document(text, "x.csv"))


def test_lists_show_by_their_values_what_they_are():
    text = 'video,time,bbox,label\na,1,"[0.5, 0.5, 0.2, 0.4]",run\n'
    assert flat(read(text))[0][2] == pytest.approx((0.5, 0.5, 0.7, 0.9))
    text = 'video,time,bbox,label\na,1,"[0.7, 0.5, 0.9, 0.6]",run\n'
    assert flat(read(text))[0][2] == pytest.approx((0.7, 0.5, 0.9, 0.6))


def test_boxes_of_frames_of_several_sizes_are_fractions_of_each():
    head = "video,time,xmin,ymin,xmax,ymax,label,width,height\n"
    export = read(f"{head}a,1,20,10,60,90,run,200,100\na,2,40,20,120,180,run,400,200\na,3,1,2,30,40,run,,\n")
    assert [row[2] for row in flat(export)] == [pytest.approx((0.1, 0.1, 0.3, 0.9))] * 2
    assert "rows.csv:4: no width and height of the frame" in export.bad[0]


@pytest.mark.parametrize(("title", "picture"), [("x1 (%)", (100, 100)), ("x1_px", None), ("x1_norm", (1, 1))])
def test_unit_of_boxes_is_that_of_the_header(title, picture):
    titles = ",".join(title.replace("x1", side) for side in ("x1", "y1", "x2", "y2"))
    value = "0.1,0.1,0.3,0.9" if picture == (1, 1) else "10,10,30,90"
    export = read(f"video,time,{titles},label\na,1,{value},run\n")
    assert export.videos[0].picture == picture and not export.box_units_guessed
    plain = read("video,time,x1,y1,x2,y2,label\na,1,10,10,30,90,run\n")
    assert plain.box_units_guessed and plain.videos[0].picture is None


def test_a_box_with_start_and_end_lasts():
    (video,) = read("video,start,end,x1,y1,x2,y2,label\na,1,3.5,0.1,0.1,0.3,0.9,run\n").videos
    (track,) = video.tracks
    assert track.places.tolist() == [1, 3.5] and track.shown.tolist() == [True, False] and track.interpolated


@pytest.mark.parametrize(
    "text",
    ["a,1,0.1,0.1,0.3,0.9,12,0.87\na,2,0.1,0.1,0.3,0.9,12,0.3\n", "a,1,0.1,0.1,0.3,0.9,2,1\na,1,0.5,0.1,0.7,0.9,2,1\n"],
)
def test_scores_and_shared_numbers_are_no_person_ids(text):
    export = read(text)
    assert {row[4] for row in flat(export)} == {""}
    assert any("people have no ids" in note for note in export.notes)


TITLES = st.sampled_from(
    [
        "video",
        "time",
        "start",
        "end",
        "frame",
        "duration",
        "x1",
        "y1",
        "x2",
        "y2",
        "w",
        "h",
        "bbox",
        "label",
        "person",
        "score",
        "split",
        "foo",
        "id",
        "segment",
        "status",
        "",
        "fps",
        "youtube_id",
    ]
)
CELLS = st.sampled_from(
    [
        "a",
        "b.mp4",
        "1",
        "2",
        "0.5",
        "90",
        "-1",
        "1e300",
        "-Infinity",
        "nan",
        "9" * 400,
        "run",
        "run|sit",
        "run, sit",
        "0:01",
        "[1, 2, 30, 40]",
        "1-4",
        "START",
        "STOP",
        "train",
        "val",
        "",
        "\x00",
        '"',
        "00:01:02:15",
        "PT1S",
    ]
)


@given(
    st.lists(TITLES, min_size=1, max_size=9).flatmap(
        lambda titles: st.tuples(
            st.just(titles), st.lists(st.lists(CELLS, min_size=1, max_size=len(titles) + 1), max_size=5)
        )
    ),
    st.sampled_from([",", ";", "\t"]),
)
def test_any_small_table_is_accounted_for_or_one_clear_error(table, delimiter):
    titles, content = table
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter).writerows([titles, *content])
    made = document(file.getvalue(), "x.csv")
    if not ava.recognises(made):
        return
    try:
        export = ava.read(made)
    except UserError as error:
        assert str(error).startswith("x.csv")
        return
    told = next(note for note in export.notes if " rows: " in note)
    total, parts = re.fullmatch(r"x\.csv: (\d+) rows: (.*)", told).groups()
    counts, total = [int(number) for number in re.findall(r"\d+", parts)], int(total)
    items = sum(len(video.tracks) + len(video.spans) for video in export.videos)
    assert sum(counts) == total and items <= total
