import pytest
from hypothesis import given
from hypothesis import strategies as st

from avsf_det.data.importers.columns import ORDER, by_header, in_order


def named(header):
    return {meaning: header.split(",")[column] for meaning, column in by_header(header.split(",")).places.items()}


def test_without_a_header_columns_are_in_ava_s_order():
    assert list(in_order().places) == list(ORDER) and in_order(first=1).places["video"] == 1


@pytest.mark.parametrize(
    "header",
    [
        "video_id,timestamp,x1,y1,x2,y2,action,person",
        "# Video ID,Time (s),x-min [px],y-min [px],x-max [px],y-max [px],Action_Label,TrackID",
        "YOUTUBE_ID,Second,left,top,right,bottom,class_name,entity_id",
        "clip name,zeit,x1,y1,x2,y2,handlung,person",  # another language's words, where AVA has these columns
    ],
)
def test_people_call_columns_as_they_like(header):
    assert sorted(named(header)) == sorted(ORDER)


def test_boxes_may_be_a_corner_or_a_centre_and_a_size():
    assert {"x1", "y1", "w", "h"} <= named("video,frame,x,y,width,height,label").keys()
    assert {"cx", "cy", "w", "h"} <= named("video,frame,x_center,y_center,w,h,label").keys()
    corners = named("video,frame,x1,y1,x2,y2,width,height,label")
    assert corners["picture_width"] == "width" and "w" not in corners  # that of the picture


def test_what_is_lacking_is_told():
    columns = by_header(["video", "frame", "x1", "y1", "label"])
    assert columns.lacking == "the right side of the box and the bottom of the box"


@given(st.lists(st.text(max_size=12), max_size=9))
def test_any_cells_are_a_header_or_none(cells):
    columns = by_header(cells)
    assert columns is None or all(column < len(cells) for column in columns.places.values())


@pytest.mark.parametrize(
    "box",
    [
        "bx1,by1,bx2,by2",
        "entity_box_x1,entity_box_y1,entity_box_x2,entity_box_y2",
        "person_x1,person_y1,person_x2,person_y2",
        "upper_left_x,upper_left_y,lower_right_x,lower_right_y",
        "X_left,Y_top,X_right,Y_bottom",
        "x_min_norm,y_min_norm,x_max_norm,y_max_norm",
        "boxLeft,boxTop,boxRight,boxBottom",
        "tl.x,tl.y,br.x,br.y",
    ],
)
def test_by_header_finds_the_sides_of_a_box_whatever_they_are_called(box):
    assert {"x1", "y1", "x2", "y2", "time", "action"} <= named(f"video,time,{box},label").keys()


@pytest.mark.parametrize(
    ("start", "end", "unit"),
    [
        ("time_start", "time_end", ""),
        ("start_frame", "stop_frame", "frames"),
        ("onset_sec", "offset_sec", "s"),
        ("t0", "t1", ""),
        ("t1", "t2", ""),
        ("t_begin", "t_end", ""),
        ("Start (s)", "Stop (s)", "s"),
        ("start_ms", "end_ms", "ms"),
        ("startTime", "endTime", ""),
        ("Beginn", "Ende", ""),
        ("debut", "fin", ""),
        ("Begin Time - ss.msec", "End Time - ss.msec", "s"),
    ],
)
def test_by_header_finds_start_and_end_and_what_they_count(start, end, unit):
    columns = by_header(["video", start, end, "label"])
    assert (columns.titles["start"], columns.titles["end"]) == (start, end)
    assert columns.units.get("start", "") == unit and not columns.lacking and not columns.fault


def test_by_header_prefers_seconds_to_frames_and_names_what_it_does_not_use():
    header = "video_id,narration_timestamp,start_timestamp,stop_timestamp,start_frame,stop_frame,verb,noun"
    columns = by_header(header.split(","))
    assert columns.titles["start"] == "start_timestamp"
    assert columns.text().endswith("ignored: narration_timestamp, start_frame, stop_frame, noun")


def test_by_header_takes_offset_beside_a_duration_for_the_start():
    assert named("video,offset,duration,label") == {
        "video": "video",
        "start": "offset",
        "duration": "duration",
        "action": "label",
    }


def test_by_header_with_two_boxes_in_a_row_takes_the_person_s():
    sides = ",".join(f"{who}_{side}" for who in ("object", "person") for side in ("x1", "y1", "x2", "y2"))
    assert named(f"video,time,{sides},label")["x2"] == "person_x2"
    sides = sides.replace("person", "face")
    assert "several boxes" in by_header(f"video,time,{sides},label".split(",")).fault


@pytest.mark.parametrize(
    "header", ["video,start,start,end,label", "video,time,x1,y1,x1,y2,x2,label", "video,label,label"]
)
def test_by_header_refuses_two_columns_of_one_name(header):
    assert "two columns are called" in by_header(header.split(",")).fault


def test_by_header_does_not_mix_seconds_and_frames():
    assert "count frames" in by_header(["video", "start_sec", "end_frame", "label"]).fault


@pytest.mark.parametrize(
    ("title", "meaning"),
    [("x1;y1;x2;y2", "xyxy"), ("bbox [x,y,w,h]", "xywh"), ("box_cxcywh", "cxcywh"), ("bbox", "box")],
)
def test_by_header_knows_columns_of_lists(title, meaning):
    assert named(f"video|time|{title}|label".replace(",", ";").replace("|", ","))[meaning] == title.replace(",", ";")


def test_by_header_goes_by_what_the_user_says():
    columns = by_header(["video", "foo", "bar", "label"], {"foo": "start", "BAR": "end"})
    assert columns.titles["start"] == "foo" and columns.titles["end"] == "bar"
    columns = by_header(["video", "start", "real_start", "end", "label"], {"real_start": "start"})
    assert columns.titles["start"] == "real_start" and columns.unused == {1: "start"}


def test_by_header_of_long_titles_ends():
    assert by_header(["video", "secs" * 500, "bb" * 500, "frames" * 500]) is not None


def test_by_header_of_boris_takes_no_time_offset_for_an_end():
    header = "Observation id,Source,Time offset (s),FPS (frame/s),Subject,Behavior,Behavior type,Start (s),Stop (s)"
    columns = by_header([*header.split(","), "Duration (s)", "Media file name", "Image index start"])
    assert (columns.titles["start"], columns.titles["end"]) == ("Start (s)", "Stop (s)")
    assert columns.titles["video"] == "Media file name" and columns.titles["status"] == "Behavior type"
