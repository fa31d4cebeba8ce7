from avsf_det.data.importers import elan
from tests.data.importers.files import document

SLOTS = "".join(f'<TIME_SLOT TIME_SLOT_ID="t{i}" TIME_VALUE="{i * 1000}"/>' for i in range(1, 5))
SLOTS += '<TIME_SLOT TIME_SLOT_ID="t9"/>'


def annotation(number, first, last, value):
    return (
        f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a{number}" TIME_SLOT_REF1="{first}" TIME_SLOT_REF2="{last}">'
        f"<ANNOTATION_VALUE>{value}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>"
    )


TEXT = (
    '<?xml version="1.0" encoding="UTF-8"?><ANNOTATION_DOCUMENT><HEADER><MEDIA_DESCRIPTOR '
    f'MEDIA_URL="file:///C:/my%20videos/clip%201.mp4"/></HEADER><TIME_ORDER>{SLOTS}</TIME_ORDER>'
    f'<TIER TIER_ID="action">{annotation(1, "t1", "t3", "wave")}{annotation(2, "t3", "t9", "sit")}'
    f'{annotation(3, "t3", "t4", "")}</TIER><TIER TIER_ID="comment"><ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a4" '
    'ANNOTATION_REF="a1"><ANNOTATION_VALUE>twice</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION></TIER>'
    "</ANNOTATION_DOCUMENT>"
)


def test_read_takes_spans_of_tiers_and_names_what_has_no_time_or_text():
    file = document(TEXT, "session.eaf")
    assert elan.recognises(file)
    export = elan.read(file)
    (video,) = export.videos
    assert video.names == ("clip 1.mp4", "session")
    found = [(span.start, span.end, span.values) for span in video.spans]
    assert found == [(1, 3, {"action": ("wave",)}), (1, 3, {"comment": ("twice",)})]
    assert ["a2: no start and end" in export.bad[0], "a3: the annotation is empty" in export.bad[1]] == [True, True]


def test_recognises_no_other_xml():
    assert not elan.recognises(document("<annotations/>", "x.xml"))
