"""Tables in AVA's manner and its dialects: boxes, spans and labels of videos, with a header or without."""

from __future__ import annotations

from collections.abc import Sequence

from avsf_det.data.importers import cells, table_columns, table_rows
from avsf_det.data.importers.clock import FRAMES, Clock
from avsf_det.data.importers.documents import Document
from avsf_det.data.importers.export import (
    LABEL,
    PERCENT,
    PIXELS,
    SHARES,
    Export,
    ExportedVideo,
    Span,
    Track,
    split_of,
)
from avsf_det.data.importers.rows import EXPECTED, Row, RowParser
from avsf_det.data.importers.tables import FIND_OUT, SAMPLE, SUFFIXES, Table, TableOptions, candidates
from avsf_det.errors import UserError

NAME = "AVA csv"


def recognises(document: Document, options: TableOptions = FIND_OUT) -> bool:
    """Whether this is such a file: some row of it can be used, or its header names boxes, times or labels of videos."""
    if document.suffix not in SUFFIXES or "excluded" in document.stem.lower():
        return False
    try:
        table, good = _table(document, options)
    except UserError:
        return document.suffix != ".txt"
    if good or not table or document.suffix == ".txt":  # which may be prose
        return good > 0
    columns = table.columns
    return bool(columns.titles) and (columns.has_box or columns.has_span or "time" in columns.places)


def describe(document: Document) -> str:
    """What a table that is not understood has, for a message; "" if it may be none."""
    try:
        tables = list(candidates(document, FIND_OUT))
    except UserError as error:
        return str(error)
    titled = next((table for table in tables if table.header), None)
    if titled and document.suffix != ".txt":
        return (
            f"{document.name}: has columns {','.join(titled.header)}, of which too few are known for a video and its "
            f"labels; {table_columns.RENAME}"
        )
    widths = [{len(cells) for _, cells in table.rows()} for table in tables]
    width = max((own.pop() for own in widths if len(own) == 1), default=0)
    if width < 3:  # prose, for all that is known
        return ""
    return (
        f"{document.name}: has {width} columns and no header; add one, such as video,start,end,action, or say "
        "--columns 1=video,2=start,..."
    )


def read(document: Document, options: TableOptions = FIND_OUT) -> Export:
    """The boxes, spans or labels in its rows. Rows of two columns, keyframes without people, are counted.

    Whole numbers for times of which the header does not say what they count may be frame numbers; that is seen from
    the videos. Boxes are in pixels if most of them reach beyond 2. A table with a column that may be a time or a box
    and is not understood never becomes labels of whole videos.

    Raises:
        UserError: if its columns cannot be understood with certainty; they are named.
    """
    table, _ = _table(document, options)
    if table is None:
        raise UserError(f"{document.name}: not a table; expected {EXPECTED}")
    export, content = Export(NAME), list(table.rows())
    table = table_columns.with_classes(table, content)
    ignored = {title.casefold() for title, name in options.columns.items() if name == "ignore"}
    table_columns.check_columns(table, content, ignored)
    at = table.columns.places.get("action")
    labels = [own[at] for _, own in content if at is not None and at < len(own)]
    splitter = cells.LabelSplitter(labels, options.label_separator)
    if splitter.unclear:
        raise UserError(
            f"{document.name}: {splitter.unclear!r} in column {table.title('action')!r} may be one label or several; "
            "say --label-separator ',' or --label-separator none"
        )
    parser = RowParser(table, options, splitter, document.stem, table_columns.list_order(table, content))
    rows: list[Row] = []
    empty = without = 0
    negative, total = table_columns.negative_column(table, content), len(content)
    if negative is not None:
        content = [(line, own) for line, own in content if negative >= len(own) or own[negative] != "-1"]
        what = f"{total - len(content)} rows whose {table.header[negative]!r} is -1 do not show the action"
        export.notes.append(f"{document.name}: {what}; not used")
    for line, own in content:
        try:
            row = parser.parse(line, own)
        except ValueError as error:
            export.bad.append(f"{document.name}:{line}: {error}")
            continue
        empty += row is None
        without += bool(row and not row.actions)
        rows += [row] if row and row.actions else []
    if not content:
        export.bad.append(f"{document.name}: a header and no rows")
    rows = table_rows.paired(rows, document.name, export)
    rows = table_rows.settle_units(rows, document.name, export)
    rows = table_rows.settle_order(rows, table, export, document.name)
    rows, unit = table_rows.settle_boxes(rows, table, options, export, document.name)
    table_rows.settle_persons(rows, table, export, document.name)
    _fill(export, rows, document, unit, table.columns.titles.get("video", "").lower().startswith(("youtube", "yt")))
    titles = {title.casefold() for title in table.header}
    for title in options.columns:
        if table.header and title.casefold() not in titles:
            export.notes.append(f"{document.name}: no column {title!r}, which --columns names")
    _add_notes(export, table, rows, splitter, document.name, (len(content), empty, without))
    return export


def _table(document: Document, options: TableOptions) -> tuple[Table | None, int]:
    """The document with the delimiter by which most of its first rows can be used, and how many these are."""
    best, score = None, (-1, False, 0)
    for table in candidates(document, options):
        splitter, good = cells.LabelSplitter([], "none"), 0
        sample = [own for own, _ in zip(table.rows(), range(SAMPLE))]
        parser = RowParser(table_columns.with_classes(table, sample), options, splitter, document.stem)
        for line, own in sample:
            try:
                good += parser.parse(line, own) is not None
            except ValueError:
                continue
        own_score = (good, bool(table.columns.titles), len(table.columns.titles))
        if own_score > score:
            best, score = table, own_score
    return best, max(score[0], 0)


def trimmed_name(video: str, start: float, end: float) -> str:
    """What Kinetics calls the clip that is cut out of a video."""
    return f"{video}_{int(min(start, 1e6)):06d}_{int(min(end, 1e6)):06d}"


def _fill(
    export: Export,
    rows: Sequence[Row],
    document: Document,
    unit: tuple[float, float] | None,
    is_youtube: bool,
) -> None:
    """Make videos of rows; of YouTube's, clips that are cut out of them are looked for first."""
    videos: dict[tuple[tuple[str, ...], str], ExportedVideo] = {}
    of_file = split_of(document.stem) or split_of(*document.path.split("/")[:-1])
    for row in rows:
        split, where = split_of(row.split) or of_file, f"{document.name}:{row.line}"
        names = (row.video,)
        if row.box is None and row.unit != FRAMES and None not in (row.start, row.end):
            names = (trimmed_name(row.video, row.start, row.end), *names) if is_youtube else names
        key = names, split
        if key not in videos:
            videos[key] = ExportedVideo(names, where, Clock(row.unit, None), unit, split)
        values = {LABEL: row.actions}
        if row.box is None:
            videos[key].spans.append(Span(row.start, row.end, values, where))
        elif row.end is None:
            videos[key].tracks.append(Track([row.start], [row.box], [values], where, row.person))
        else:
            places, boxes = [row.start, row.end], [row.box, row.box]
            track = Track(places, boxes, [values] * 2, where, row.person, [True, False], interpolated=True)
            videos[key].tracks.append(track)
    export.videos = list(videos.values())


def _add_notes(
    export: Export,
    table: Table,
    rows: Sequence[Row],
    splitter: cells.LabelSplitter,
    name: str,
    counts: tuple[int, int, int],
) -> None:
    """What was taken for what, and what became of the rows."""
    columns, boxes = table.columns, sum(row.box is not None for row in rows)
    known = columns.text() or f"without titles, taken for {', '.join(sorted(columns.places, key=columns.places.get))}"
    unit = {SHARES: "fractions of the frame", PERCENT: "percent", PIXELS: "pixels"}
    of_boxes = [video.picture for video in export.videos if video.tracks]
    if known:
        told = f"; boxes are in {unit[of_boxes[0]]}" if of_boxes else ""
        export.notes.append(f"{name}: columns {known}{told}")
    if "video" not in columns.places and "picture" not in columns.places:
        export.notes.append(f"{name}: no column of the video; all rows are of the video that is called as the file")
    if splitter.separator and any(len(row.actions) > 1 for row in rows):
        export.notes.append(f"{name}: {splitter.separator!r} separates the labels in a cell")
    unknown = sorted({row.split for row in rows if row.split and not split_of(row.split)})
    if unknown:
        title = table.title("split")
        export.notes.append(
            f"{name}: column {title!r} has {', '.join(unknown[:3])}, which are no known splits; not used"
        )
    open_ended = sum(row.box is None and None in (row.start, row.end) for row in rows) if columns.has_span else 0
    if open_ended:
        export.notes.append(
            f"{name}: {open_ended} rows without a start or an end; their spans begin or end with the video"
        )
    total, empty, without = counts
    spans = len(rows) - boxes
    parts = [(boxes, "boxes"), (spans, "spans"), (empty, "keyframes without people"), (without, "without a class")]
    parts.append((total - len(rows) - empty - without, "skipped, or joined with others"))
    told = ", ".join(f"{count} {what}" for count, what in parts if count)
    export.notes.append(f"{name}: {total} rows: {told or 'none'}")
