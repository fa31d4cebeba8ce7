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
    assert columns.lacking == "the right side of the box and the lower side of the box"


@given(st.lists(st.text(max_size=12), max_size=9))
def test_any_cells_are_a_header_or_none(cells):
    columns = by_header(cells)
    assert columns is None or all(column < len(cells) for column in columns.places.values())
