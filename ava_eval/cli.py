"""The `ava-eval` command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from ava_eval.errors import InputError

EXAMPLES = """
examples:
  ava-eval -l labelmap.pbtxt -g val.csv -d detections.csv -e excluded.csv    as the official script
  ava-eval -l ava_v2.2 -g val.csv -d detections.csv --json result.json       a label map of the package
  ava-eval -l ava_v2.2 -g val.csv -d detections.csv --html report.html       all analyses, with plots
  ava-eval -l ava_v2.2 -g val.csv -d detections.csv --protocol pyslowfast    to compare with its numbers
  ava-eval check -l labelmap.pbtxt -g val.csv -d detections.csv              why is my mAP so low?
  ava-eval explain -l ava_v2.2 -g val.csv -d detections.csv stand            why is this class bad?
  ava-eval compare -l ava_v2.2 -g val.csv old.csv new.csv                    which classes moved?
  ava-eval tubes -g tubes.csv -d detected_tubes.csv                          video mAP

label maps of the package: ava_v2.1, ava_v2.2 (the 60 scored classes), ava_v2.1_80, ava_v2.2_80
"""
REQUIRED = {"labelmap": "-l/--labelmap", "groundtruth": "-g/--groundtruth", "detections": "-d/--detections"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit status.

    0 done, 1 `check` found a problem, 2 an input cannot be evaluated, 130 Ctrl-C.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    missing = [option for name, option in REQUIRED.items() if getattr(options, name, None) is None]
    if options.run is _evaluate and missing:
        parser.error(f"the following arguments are required: {', '.join(missing)}")
    try:
        return options.run(options)
    except InputError as error:
        print(f"ava-eval: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("ava-eval: stopped", file=sys.stderr)
        return 130


def _evaluate(options: argparse.Namespace) -> int:
    from ava_eval.evaluation import evaluate

    _refuse_empty(options.groundtruth, options.detections)
    result = evaluate(options.groundtruth, options.detections, options.labelmap, options.exclusions, **_rules(options))
    _warn(result.warnings)
    report = None
    if options.report or options.html:
        from ava_eval.report import analyse

        report = analyse(result)
    if options.json:
        _write(options.json, (report or result).to_json())
    if options.html:
        from ava_eval.page import report_page

        _write(options.html, report_page(report, _thumbnails(options.videos)))
    if options.report:
        print(f"{report.text()}\n")
    print(result.table())
    return 0


def _thumbnails(folder: str | None) -> object | None:
    """Thumbnails of the videos in a folder, if there is one."""
    if folder is None:
        return None
    from ava_eval.thumbnails import Thumbnails

    return Thumbnails(folder)


def _explain(options: argparse.Namespace) -> int:
    from ava_eval.evaluation import evaluate
    from ava_eval.explain import Explainer
    from ava_eval.result import as_json

    name = options.name or options.class_name
    if name is None:
        raise InputError("expected a class: ava-eval explain -l MAP -g GT -d DETECTIONS CLASS")
    _refuse_empty(options.groundtruth, options.detections)
    result = evaluate(options.groundtruth, options.detections, options.labelmap, options.exclusions, **_rules(options))
    _warn(result.warnings)
    explainer = Explainer(result)
    errors = explainer.explain(explainer.find(name), options.worst)
    if options.json:
        _write(options.json, as_json({"class": errors.name, **errors.to_dict()}))
    if options.html:
        from ava_eval.page import class_page

        _write(options.html, class_page(result, errors, _thumbnails(options.videos)))
    print(errors.text())
    return 0


def _refuse_empty(*paths: str) -> None:
    """Refuses files without rows, which are failed runs rather than results.

    Raises:
        InputError: naming the first.
    """
    from ava_eval.evaluation import as_table

    for path in paths:
        try:
            is_small = os.path.getsize(path) < 1 << 16
        except OSError:
            continue  # whoever reads it says why it cannot
        if is_small and not len(as_table(path, path)):
            raise InputError(f"{path}: the file has no rows, expected video,timestamp,x1,y1,x2,y2,action,score")


def _check(options: argparse.Namespace) -> int:
    from ava_eval.check import diagnose
    from ava_eval.evaluation import load_tables
    from ava_eval.label_map import load_label_map
    from ava_eval.result import as_json

    _refuse_empty(options.groundtruth, options.detections)
    labels, _ = load_label_map(options.labelmap)
    truth, found, left_out = load_tables(options.groundtruth, options.detections, options.exclusions)
    diagnosis = diagnose(truth, found, labels, left_out)
    if options.json:
        _write(options.json, as_json(diagnosis.to_dict()))
    print(diagnosis.text())
    return 1 if diagnosis.issues else 0


def _compare(options: argparse.Namespace) -> int:
    from ava_eval.bootstrap import compare
    from ava_eval.evaluation import evaluate
    from ava_eval.report import comparison_dict, comparison_text
    from ava_eval.result import as_json

    _refuse_empty(options.groundtruth, options.first, options.second)
    results = []
    for path in (options.first, options.second):
        results.append(evaluate(options.groundtruth, path, options.labelmap, options.exclusions, **_rules(options)))
        _warn(results[-1].warnings)
    comparison = compare(*results)
    if options.json:
        _write(options.json, as_json(comparison_dict(comparison)))
    if options.html:
        from ava_eval.page import comparison_page

        _write(options.html, comparison_page(comparison))
    print(comparison_text(comparison))
    return 0


def _tubes(options: argparse.Namespace) -> int:
    from ava_eval.tubes import evaluate_tubes

    result = evaluate_tubes(options.groundtruth, options.detections, options.labelmap, split=options.split)
    if options.json:
        _write(options.json, result.to_json())
    print(result.table())
    return 0


def _rules(options: argparse.Namespace) -> dict[str, object]:
    return {"iou": options.iou, "protocol": options.protocol, "ties": options.ties}


def _warn(warnings: Sequence[str]) -> None:
    for warning in warnings:
        print(f"ava-eval: warning: {warning}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ava-eval",
        description="Frame mAP of action detections: the official AVA protocol to the bit, and error analysis.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=_evaluate)
    _add_files(parser, required=False)  # but see `main`: argparse would ask for them before other commands too
    _add_detections(parser, required=False)
    _add_rules(parser)
    parser.add_argument("--report", action="store_true", help="also print the analyses; --json then includes them")
    parser.add_argument("--html", metavar="FILE", help="also write the analyses with plots to one HTML file")
    _add_videos(parser)
    commands = parser.add_subparsers(title="other commands", metavar="COMMAND")

    command = _add_command(commands, "check", _check, "find out what is wrong with the files: why is my mAP so low?")
    _add_files(command, required=True)
    _add_detections(command, required=True)

    command = _add_command(commands, "explain", _explain, "why is one class bad: error types, confusions, worst errors")
    _add_files(command, required=True)
    _add_detections(command, required=True)
    _add_rules(command)
    command.add_argument("name", nargs="?", metavar="CLASS", help="name or id of the class, or a part of its name")
    command.add_argument("--class", dest="class_name", metavar="CLASS", help="the same")
    command.add_argument("--worst", type=int, default=5, metavar="N", help="FP and misses to list (default 5)")
    command.add_argument("--html", metavar="FILE", help="also write it to one HTML file")
    _add_videos(command)

    command = _add_command(commands, "compare", _compare, "compare two files of detections, class by class")
    _add_files(command, required=True)
    command.add_argument("first", metavar="A.csv", help="detections")
    command.add_argument("second", metavar="B.csv", help="other detections of the same videos")
    _add_rules(command)
    command.add_argument("--html", metavar="FILE", help="also write the comparison with a plot to one HTML file")

    command = _add_command(commands, "tubes", _tubes, "video mAP at 0.2, 0.5 and 0.5:0.95 of action tubes")
    command.add_argument("-l", "--labelmap", metavar="PBTXT", help="names of the classes that count")
    command.add_argument(
        "-g",
        "--groundtruth",
        required=True,
        metavar="FILE",
        help="csv: video,frame,x1,y1,x2,y2,class,tube; or .pkl as UCF101-24, JHMDB and MultiSports have it",
    )
    command.add_argument(
        "-d", "--detections", required=True, metavar="CSV", help="video,frame,x1,y1,x2,y2,class,tube,score"
    )
    command.add_argument("--split", type=int, default=1, help="test split of a .pkl, from 1 (default 1)")
    _add_json(command)
    return parser


def _add_command(commands: argparse._SubParsersAction, name: str, run: object, what: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=what, description=what[0].upper() + what[1:])
    command.set_defaults(run=run)
    return command


def _add_files(parser: argparse.ArgumentParser, *, required: bool) -> None:
    parser.add_argument(
        "-l",
        "--labelmap",
        required=required,
        metavar="PBTXT",
        help="the classes that are scored: a file, or ava_v2.1 or ava_v2.2",
    )
    parser.add_argument(
        "-g",
        "--groundtruth",
        required=required,
        metavar="CSV",
        help="video,timestamp,x1,y1,x2,y2,action[,person]; or video,timestamp for a frame without boxes; or .csv.gz",
    )
    parser.add_argument("-e", "--exclusions", metavar="CSV", help="video,timestamp of frames that do not count")
    _add_json(parser)


def _add_detections(parser: argparse.ArgumentParser, *, required: bool) -> None:
    parser.add_argument(
        "-d",
        "--detections",
        required=required,
        metavar="FILE",
        help="csv: video,timestamp,x1,y1,x2,y2,action,score; or .pkl as mmaction2 dumps its results",
    )


def _add_videos(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--videos", metavar="DIR", help="show the worst errors of these videos in the HTML file")


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", metavar="FILE", help="also write the result, at full precision, to FILE")


def _add_rules(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--iou", type=float, default=0.5, help="IoU threshold of a true positive (default 0.5)")
    parser.add_argument(
        "--protocol",
        choices=("official", "pyslowfast", "mmaction2"),
        default="official",
        help="evaluation protocol (default official)",
    )
    parser.add_argument(
        "--ties",
        choices=("stable", "official"),
        default="stable",
        help="order of equal scores: the same on every machine (default), or the official sort, which differs",
    )


def _write(path: str, text: str) -> None:
    """Writes the file whole or not at all."""
    temporary = f"{path}.{os.getpid()}.part"
    try:
        # file names may hold bytes that are no UTF-8
        with open(temporary, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"{path}: cannot write the result: {error.strerror}") from None
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)
