"""What is wrong with the videos of a dataset, and with keyframes in them: small functions that yield findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np

from avsf_det.data.finding import ERROR, FACT, WARNING, Finding
from avsf_det.data.likeness import alike, equal_files
from avsf_det.data.survey import ProbedVideo, Survey
from avsf_det.media.source import CUT_LENGTHS, CUT_START

MOST_COMMON = 3  # rates and sizes that are named


def missing(survey: Survey) -> Iterator[Finding]:
    """Videos that the csv files name and that are not there."""
    folder = survey.folder
    for split in survey.splits:
        wanted = split.keyframes.by_video()
        gone = [video for video in wanted if video not in folder.videos]
        if gone:
            lost = sum(len(wanted[video]) for video in gone)
            what = f"{len(gone)} of {len(wanted)} videos are not there, with {lost} keyframes"
            cure = "download them, or set DATA.ROOT, AVA.VIDEO_DIR or AVA.FRAME_DIR to where they are; as it is, they"
            items = tuple(f"{split.first_row(video)}: {video}" for video in gone)
            yield Finding(ERROR, what, split.name, f"{cure} are left out", items)


def unreadable(survey: Survey) -> Iterator[Finding]:
    """Videos that do not open, or are cut off."""
    bad = tuple(video.error for video in survey.videos.values() if video.error)
    if bad:
        cure = "copy or download them again; they are left out"
        yield Finding(ERROR, f"{len(bad)} of {len(survey.videos)} cannot be read", "videos", cure, bad)
    short = tuple(f"{name} {v.info.missing:.0f} s" for name, v in _readable(survey) if v.info.missing)
    if short:
        what = f"{len(short)} are shorter than their headers promise"
        yield Finding(ERROR, what, "videos", "copy or download them again", short)


def lengths(survey: Survey) -> Iterator[Finding]:
    """How long the videos are, their rates and sizes."""
    videos = dict(_readable(survey))
    if videos:
        seconds = [video.info.duration - video.start for video in videos.values()]
        rates = _commonest(f"{float(video.info.fps):.5g} frames a second" for video in videos.values())
        sizes = _commonest(f"{video.info.width}x{video.info.height}" for video in videos.values())
        what = f"{len(videos)} of {min(seconds):.1f} to {max(seconds):.1f} s, {sum(seconds) / 60:.1f} minutes in all"
        yield Finding(FACT, f"{what}; {rates}; {sizes}", "videos")


def clocks(survey: Survey) -> Iterator[Finding]:
    """Which videos are whole, and which are cut to minutes 15 to 30."""
    groups: dict[tuple[float, bool], list[str]] = {}
    for name, video in _readable(survey):
        groups.setdefault((video.start, video.source.path.is_dir()), []).append(name)
    shortest, longest = CUT_LENGTHS
    for (start, are_folders), names in sorted(groups.items()):
        video = survey.videos[names[0]]
        why = "as AVA.VIDEO_START says"
        if video.source.start is None:
            last = "they last" if start == CUT_START else "they do not last"
            why = f"AVA.VIDEO_START is auto, and {last} {shortest:g} to {longest:g} s"
        kind = "folders of frames" if are_folders else "files"
        what = f"{len(names)} {kind} begin at second {start:g}: {why}; such as {names[0]}, "
        yield Finding(FACT, f"{what}{video.info.duration - start:.1f} s", "videos")


def keyframes_within(survey: Survey) -> Iterator[Finding]:
    """Keyframes that lie beyond their video, and clips that reach beyond it."""
    beyond, as_cut, just, reaching = [], [], [], 0
    for name, video in _readable(survey):
        begin, end = video.start, video.info.duration
        touches = np.array([survey.spec.touches(time, begin, end) for time in video.times], dtype=bool)
        lost, near = video.times[~touches], video.times[touches & ((video.times < begin) | (video.times > end))]
        clips = np.array([survey.spec.frame_times(time)[[0, -1]] for time in video.times])
        reaching += int(((clips[:, 0] < begin) | (clips[:, 1] >= end)).sum()) - len(lost)
        span = f"{name} lasts from {begin:g} to {end:.1f}"
        just += [f"{survey.first_row(name, time)}: second {time:g}, {span}" for time in near]
        if len(lost):
            where = survey.first_row(name, lost[0])
            line = f"{where}: {span}, without {len(lost)} of its {len(video.times)} keyframes"
            moved = [survey.spec.touches(time, CUT_START, end - begin + CUT_START) for time in video.times]
            (as_cut if begin == 0 and all(moved) else beyond).append(line)
    cure = f"they fit if the files are cut from second {CUT_START:g} on: then set AVA.VIDEO_START {CUT_START:g}"
    if as_cut:
        yield Finding(ERROR, f"{len(as_cut)} are shorter than their keyframes", "videos", cure, tuple(as_cut))
    cure = "take the whole files, or set AVA.VIDEO_START to the second at which they were cut; these are left out"
    if beyond:
        yield Finding(ERROR, f"{len(beyond)} are shorter than their keyframes", "videos", cure, tuple(beyond))
    if just:
        what = f"{len(just)} timestamps lie beyond their video, by less than a clip"
        cure = "see that timestamps are seconds of the file; the nearest frame is taken"
        yield Finding(WARNING, what, "keyframes", cure, tuple(just))
    if reaching:
        yield Finding(
            FACT, f"{reaching} clips reach beyond their video: its nearest frame is repeated there", "keyframes"
        )


def sounds(survey: Survey) -> Iterator[Finding]:
    """Videos without sound, or without it where their keyframes are."""
    silent = tuple(name for name, video in _readable(survey) if not video.info.has_audio)
    if silent:
        what = f"{len(silent)} of {len(survey.videos)} have no sound"
        cure = "put their sound into the folder sounds (AVA.SOUND_DIR), <video_id>.wav for instance"
        yield Finding(WARNING, what, "videos", cure, silent)
    apart = []
    for name, video in _readable(survey):
        begin, end = video.info.audio_start, video.info.audio_end
        seen = video.times[(video.times >= video.start) & (video.times < video.info.duration)]
        lost = int(((seen < begin) | (seen > end)).sum())
        if video.info.has_audio and lost:
            apart.append(
                f"{name} sounds from {begin:g} to {end:.1f}, without {lost} of its {len(video.times)} keyframes"
            )
    if apart:
        cure = "see that the sound is as long as the video, or set AVA.VIDEO_START; what is missing is silence"
        yield Finding(WARNING, f"{len(apart)} have sound that misses keyframes", "videos", cure, tuple(apart))


def frame_folders(survey: Survey) -> Iterator[Finding]:
    """Folders of frames with gaps, or with other frames than the frame lists say."""
    gaps = tuple(f"{name} {video.absent}" for name, video in _readable(survey) if video.absent)
    if gaps:
        cure = "extract their frames again; until then the frame before stands in"
        yield Finding(ERROR, f"{len(gaps)} lack pictures", "folders of frames", cure, gaps)
    strange = tuple(f"{name} {video.others}" for name, video in _readable(survey) if video.others)
    if strange:
        cure = "move them to a folder of their own if they are another video; they are passed over"
        what = f"{len(strange)} hold pictures of several names"
        yield Finding(WARNING, what, "folders of frames", cure, strange)
    other = []
    for name, video in _readable(survey):
        listed = survey.folder.listed_frames.get(name)
        there = round((video.info.duration - video.start) * video.source.fps) - video.absent
        if listed and video.source.path.is_dir() and listed.count != there:
            other.append(f"{name} {there} instead of {listed.count}")
    if other:
        cure = "extract their frames again, or make the lists anew (AVA.FRAME_LIST_DIR)"
        yield Finding(ERROR, f"{len(other)} are not as their frame list says", "folders of frames", cure, tuple(other))


def keyframe_pictures(survey: Survey) -> Iterator[Finding]:
    """Keyframes in folders of frames whose own picture, or another of their clip, is missing or broken."""
    own, others = [], []
    for name, video in _readable(survey):
        for found, faults in ((own, video.faults), (others, video.clip_faults)):
            found += [f"{survey.first_row(name, t)}: {name} at {t:g}, {fault}" for t, fault in faults.items()]
    cure = "extract the frames again, or delete the rows; as it is, these keyframes are left out"
    if own:
        yield Finding(ERROR, f"{len(own)} keyframes have no picture", "folders of frames", cure, tuple(own))
    if others:
        what = f"{len(others)} keyframes have a broken picture in their clip"
        yield Finding(ERROR, what, "folders of frames", cure, tuple(others))


def copies(survey: Survey) -> Iterator[Finding]:
    """Videos of one split that are those of the other by another name: the same file, or the same pictures."""
    if len(survey.splits) < 2:
        return
    one, other = ([v for v in split.keyframes.by_video() if v in dict(_readable(survey))] for split in survey.splits)
    both = set(one) & set(other)  # `splits_apart` has named these
    groups = [[(name, survey.videos[name]) for name in names if name not in both] for names in (one, other)]
    same = equal_files(*groups)
    equal = tuple(f"{survey.splits[1].first_row(b)}: {b} is {a}" for a, b in same)
    similar = tuple(
        f"{survey.splits[1].first_row(b)}: {b} and {a}, by {likeness:.2f}"
        for a, b, likeness in alike(*groups, survey.progress)
        if (a, b) not in same
    )
    where = " and ".join(split.name for split in survey.splits)
    cure = "a model is to be evaluated on videos it was not trained on: take one of each pair out of its csv"
    if equal:
        yield Finding(ERROR, f"{len(equal)} pairs of videos are the same file", where, cure, equal)
    if similar:
        what = f"{len(similar)} pairs of videos look the same"
        yield Finding(WARNING, what, where, f"look at them; {cure}", similar)


def _readable(survey: Survey) -> Iterator[tuple[str, ProbedVideo]]:
    return ((name, video) for name, video in survey.videos.items() if video.info)


def _commonest(values: Iterable[str]) -> str:
    counts = Counter(values)
    named = [f"{value} ({count})" for value, count in counts.most_common(MOST_COMMON)]
    more = [f"{len(counts) - MOST_COMMON} others"] if len(counts) > MOST_COMMON else []
    return ", ".join([*named, *more])
