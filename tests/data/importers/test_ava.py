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
ROWS = st.lists(
    st.tuples(NAMES, st.integers(0, 1800), SHARE, SHARE, SHARE, SHARE, st.integers(1, 80), st.integers(0, 50)),
    min_size=1,
    max_size=8,
)
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
def test_any_text_is_a_table_or_not_and_never_an_error(text, suffix):
    file = document(text, f"x{suffix}")
    if ava.recognises(file):
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


def test_a_header_that_lacks_a_column_names_it():
    with pytest.raises(UserError, match=r"x.csv: no column of video,t,x,y,w,h is known for the action; name"):
        ava.read(document("video,t,x,y,w,h\na,1,1,1,9,9\n", "x.csv"))


def test_one_slip_does_not_make_shares_pixels_and_sizes_of_pictures_are_kept():
    assert read(f"{ROW}\n{ROW}\n{ROW.replace('0.5', '50')}\n").videos[0].picture == (1, 1)
    text = "filename,width,height,class,xmin,ymin,xmax,ymax\nclip 1/0007.jpg,1280,720,walk,10,20,300,400\n"
    assert read(text).videos[0].picture == (1280, 720)
