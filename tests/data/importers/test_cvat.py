import numpy as np
import pytest

from avsf_det.data.importers import cvat
from avsf_det.data.importers.export import LABEL
from tests.data.importers.files import document

HEAD = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta>
    <task>
      <id>7</id>
      <name>first task</name>
      <size>40</size>
      <mode>{mode}</mode>
      <overlap>0</overlap>
      <subset>{subset}</subset>
      <start_frame>0</start_frame>
      <stop_frame>39</stop_frame>
      <labels>
        <label>
          <name>person</name>
          <color>#c06060</color>
          <type>any</type>
          <attributes>
            <attribute>
              <name>action</name>
              <mutable>True</mutable>
              <input_type>select</input_type>
              <default_value>__undefined__</default_value>
              <values>__undefined__
walk
sit</values>
            </attribute>
          </attributes>
        </label>
      </labels>
      {size}
      {source}
    </task>
    <dumped>2024-03-01 10:00:00.000000+00:00</dumped>
  </meta>
"""
VIDEO = HEAD.format(
    mode="interpolation",
    subset="Validation",
    size="<original_size><width>64</width><height>48</height></original_size>",
    source="<source>clip 1.mp4</source>",
)
IMAGES = HEAD.format(mode="annotation", subset="default", size="", source="")
TRACK = """
  <track id="0" label="person" source="manual">
    <box frame="0" keyframe="1" outside="0" occluded="0" xtl="6.40" ytl="4.80" xbr="32.00" ybr="24.00" z_order="0">
      <attribute name="action">walk</attribute>
    </box>
    <box frame="20" keyframe="1" outside="1" occluded="0" xtl="12.80" ytl="4.80" xbr="38.40" ybr="24.00" z_order="0">
      <attribute name="action">__undefined__</attribute>
    </box>
    <box frame="oops" keyframe="1" outside="0" xtl="1" ytl="1" xbr="2" ybr="2"/>
  </track>
  <track id="1" label="person" source="manual">
    <polygon frame="3" keyframe="1" outside="0" occluded="0" points="1.0,2.0;3.0,4.0;5.0,1.0" z_order="0"/>
  </track>
"""


def test_tracks_of_a_video_keep_their_keyframes_and_where_they_end():
    file = document(VIDEO + TRACK + "</annotations>", "annotations.xml")
    assert cvat.recognises(file)
    export = cvat.read(file)
    (video,) = export.videos
    assert video.names[0] == "clip 1.mp4" and video.picture == (64, 48) and video.split == "val"
    (track,) = video.tracks
    np.testing.assert_array_equal(track.places, [0, 20])
    np.testing.assert_array_equal(track.shown, [True, False])
    np.testing.assert_allclose(track.boxes[0], [6.4, 4.8, 32, 24])
    assert track.values[0] == {LABEL: ("person",), "action": ("walk",)} and track.values[1]["action"] == ()
    assert track.interpolated and track.person == "0"
    first, second = export.bad
    assert first.startswith("annotations.xml: track 0, frame oops: got frame=oops")
    assert second.startswith("annotations.xml: track 1: a polygon")


def test_images_in_folders_are_frames_of_videos():
    images = """
  <image id="0" name="clip 1/000011.jpg" width="64" height="48">
    <box label="person" source="manual" occluded="0" xtl="1" ytl="2" xbr="30" ybr="40" z_order="0">
      <attribute name="action">sit</attribute>
    </box>
  </image>
  <image id="1" name="train/clip2_frame_21.jpg" subset="Train" width="64" height="48">
    <tag label="indoors" source="manual"/>
  </image>
  <image id="2" name="cover.jpg" width="64" height="48"/>
</annotations>"""
    export = cvat.read(document(IMAGES + images, "a.xml"))
    first, second = export.videos
    assert first.names[0] == "clip 1" and first.tracks[0].places == [11] and first.clock.first is None
    assert second.names[0] == "clip2" and second.split == "train" and not second.tracks
    assert (second.spans[0].start, second.spans[0].values) == (21, {LABEL: ("indoors",)})
    assert export.bad == ["a.xml: image cover.jpg: no frame number in its name, expected such as <video>/000012.jpg"]


def test_images_of_a_video_task_are_numbered_from_zero_and_tagged_runs_are_spans():
    tags = "".join(
        f'<image id="{n}" name="frame_{n:06d}" width="64" height="48"><tag label="run" source="manual"/></image>'
        for n in (3, 4, 5, 9)
    )
    (video,) = cvat.read(
        document(VIDEO.replace("interpolation", "annotation") + tags + "</annotations>", "a.xml")
    ).videos
    assert video.names[0] == "clip 1.mp4" and video.clock.first == 0
    assert [(span.start, span.end) for span in video.spans] == [(3, 6), (9, 10)]


def test_a_project_has_several_tasks():
    text = """<annotations><version>1.1</version><meta><project><id>1</id><name>p</name><tasks>
      <task><id>4</id><name>clip 1</name><subset>Train</subset><source>clip 1.mp4</source></task>
      <task><id>5</id><name>clip2</name><subset>Test</subset><source>clip2.mp4</source></task></tasks></project></meta>
      <track id="0" label="a" task_id="5" subset="Test">BOX</track>
      <track id="1" label="a" task_id="4" subset="Train">BOX</track>
      </annotations>""".replace("BOX", '<box frame="1" xtl="1" ytl="1" xbr="2" ybr="2" outside="0"/>')
    videos = cvat.read(document(text, "a.xml")).videos
    assert [(video.names[0], video.split) for video in videos] == [("clip2.mp4", "test"), ("clip 1.mp4", "train")]


def test_other_xml_is_another_tool_s():
    assert not cvat.recognises(document("<annotation><folder>VOC</folder></annotation>", "a.xml"))


def box(frame, more="", corners=(22, 14, 42, 34), tag="box"):
    names = dict(zip(("xtl", "ytl", "xbr", "ybr"), corners))
    given = " ".join(f'{name}="{value}"' for name, value in names.items())
    return f'<{tag} frame="{frame}" label="walk" outside="0" {given} {more}/>'


@pytest.mark.parametrize(
    ("degrees", "expected"),
    [
        ("90.00", (17, 19, 47, 29)),
        ("-90", (17, 19, 47, 29)),
        ("180", (27, 9, 37, 39)),
        ("360", (27, 9, 37, 39)),
        ("45", (32 - 20 / 2**0.5, 24 - 20 / 2**0.5, 32 + 20 / 2**0.5, 24 + 20 / 2**0.5)),
        ("oops", (27, 9, 37, 39)),
    ],
)
@pytest.mark.parametrize("is_track", [True, False])
def test_rotated_box_is_enclosed_and_noted(degrees, expected, is_track):
    body = box(3, f'rotation="{degrees}"', (27, 9, 37, 39))
    holder = '<track id="0" label="walk">{}</track>' if is_track else '<image id="3" name="frame_000003">{}</image>'
    export = cvat.read(document(VIDEO + holder.format(body) + "</annotations>", "a.xml"))
    np.testing.assert_allclose(export.videos[0].tracks[0].boxes, [expected])
    turned = degrees in ("90.00", "-90", "180", "45")
    assert any("1 boxes are rotated" in note for note in export.notes) == turned


def test_other_shapes_of_images_are_named_one_by_one():
    shapes = ("polygon", "polyline", "points", "mask", "ellipse", "cuboid", "skeleton")
    body = "".join(f'<{shape} label="walk"/>' for shape in (*shapes, "mask"))
    image = f'<image id="3" name="frame_000003">{box(3)}{body}</image></annotations>'
    export = cvat.read(document(VIDEO + image, "a.xml"))
    assert len(export.videos[0].tracks) == 1 and len(export.bad) == 8
    assert all(any(f"type {shape}," in line for line in export.bad) for shape in shapes)


@pytest.mark.parametrize(("text", "step"), [("step=5", 5), (" step = 5 ", 5), ("step=0", 1), ("", 1), ("oops", 1)])
def test_tagged_frames_label_as_many_frames_as_the_task_s_step(text, step):
    tags = "".join(f'<image id="{n}" name="frame_{n:06d}"><tag label="run"/></image>' for n in (0, step, 2 * step))
    head = VIDEO.replace("<stop_frame>", f"<frame_filter>{text}</frame_filter><stop_frame>")
    (video,) = cvat.read(document(head + tags + "</annotations>", "a.xml")).videos
    assert [(span.start, span.end) for span in video.spans] == [(0, 3 * step)]


def test_job_without_source_does_not_name_its_video():
    text = "<annotations><version>1.1</version><meta><job><id>3</id></job></meta><track id='0' label='walk'>"
    (video,) = cvat.read(document(text + box(3) + "</track></annotations>", "a.xml")).videos
    assert video.unnamed == "the jobs"


def test_boxes_of_images_of_other_sizes_are_scaled():
    images = "".join(
        f'<image id="{n}" name="clip/{n:06d}.jpg" width="{64 * n}" height="{48 * n}">'
        f"{box(n, corners=(8 * n, 6 * n, 32 * n, 24 * n))}</image>"
        for n in (1, 10)
    )
    (video,) = cvat.read(document(IMAGES + images + "</annotations>", "a.xml")).videos
    assert video.picture == (64, 48)
    np.testing.assert_allclose([track.boxes[0] for track in video.tracks], [(8, 6, 32, 24)] * 2)
