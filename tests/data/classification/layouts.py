"""Small datasets in the layouts in which people hold the large ones; their videos are links to scenes."""

import os

CHARADES = "id,subject,scene,quality,relevance,verified,script,objects,descriptions,actions,length"
EPIC_55 = (
    "uid,participant_id,video_id,narration,start_timestamp,stop_timestamp,start_frame,stop_frame,verb,verb_class,noun,"
    "noun_class,all_nouns,all_noun_classes"
)
EPIC_100 = (
    "narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,start_frame,stop_frame,"
    "narration,verb,verb_class,noun,noun_class,all_nouns,all_noun_classes"
)


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def link(root, videos, names):
    """Links of these names, to one video after the other and all over again."""
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        os.symlink(videos[number % len(videos)], path)


def kinetics(root, videos):
    """The original csv files; training videos in folders of their classes, validation videos in one folder."""
    link(
        root,
        videos,
        [
            "train/playing_drums/aaaaaaaaaaa_000010_000020.mp4",
            "train/playing_drums/-bbbbbbbbb__000000_000010.mp4",
            "train/clapping/ccccccccccc_000123_000133.mp4",
            "val/ddddddddddd_000001_000011.mp4",
        ],
    )
    header = "label,youtube_id,time_start,time_end,split,is_cc\n"
    train = '"playing drums",aaaaaaaaaaa,10,20,train,0\nplaying drums,-bbbbbbbbb_,0,10,train,0\n'
    train += "clapping,ccccccccccc,123,133,train,1\n"
    val = "clapping,ddddddddddd,1,11,validate,0\nwaving hand,gone,0,10,validate,0\n"
    write(root, {"annotations/train.csv": header + train, "annotations/validate.csv": header + val})


def path_labels(root, videos, separator=" "):
    """PySlowFast's lists."""
    link(root, videos, ["videos/drum/a.mp4", "videos/clap hands/b.mp4", "videos/clap hands/c.webm"])
    rows = [("videos/drum/a.mp4", 1), ("videos/clap hands/b.mp4", 0)]
    write(
        root,
        {
            "train.csv": "".join(f"{path}{separator}{label}\n" for path, label in rows),
            "val.csv": f"videos/clap hands/c.webm{separator}0\n",
        },
    )


def charades(root, videos):
    """Two videos to train on, of which one has nothing to see, and one to test."""
    link(root, videos, ["Charades_v1_480/46GP8.mp4", "Charades_v1_480/N11GT.mp4", "Charades_v1_480/YSKX3.mp4"])
    write(
        root,
        {
            "Charades_v1_train.csv": f"{CHARADES}\n"
            '46GP8,HR43,Kitchen,6,7,Yes,"A, b.",food,"One; two.",c092 0.50 2.20;c147 0.00 3.60;c092 3.0 3.5,4.0\n'
            "N11GT,0KZ7,Stairs,5,7,Yes,Nothing.,,,,4.0\n",
            "Charades_v1_test.csv": f"{CHARADES}\nYSKX3,AB12,Hall,7,7,No,Sits.,chair,,c059 0.00 4.00,4.0\n",
            "Charades_v1_classes.txt": "".join(f"c{i:03d} Doing {i}\n" for i in range(157)),
        },
    )


def charades_frames(root, videos):
    """PySlowFast's lists of frames, 24 a second: two actions at once in the first second, none in the last."""
    link(root, videos, ["videos/46GP8.mp4", "videos/YSKX3.mp4"])
    for name, video in (("train", "46GP8"), ("val", "YSKX3")):
        held = ['"92,147"'] * 24 + ['"147"'] * 48 + ['""'] * 24
        rows = [f"{video} 0 {i} {video}/{video}-{i + 1:06d}.jpg {labels}\n" for i, labels in enumerate(held)]
        write(root, {f"frame_lists/{name}.csv": "original_vido_id video_id frame_id path labels\n" + "".join(rows)})


def epic_55(root, videos):
    """Persons 1 and 25 are trained on, and person 26 is not."""
    link(root, videos, ["videos/P01/P01_01.MP4", "videos/P25/P25_01.MP4", "videos/P26/P26_01.MP4"])
    rows = [
        "0,P01,P01_01,open door,00:00:00.50,00:00:03.37,8,202,open,2,door,8,['door'],[8]",
        "1,P01,P01_01,take cup,00:00:00,00:00:00.80,0,48,take,0,cup,13,['cup'],[13]",
        '2,P25,P25_01,"put cup, and plate",00:00:01,00:00:02.5,60,150,put,1,cup,13,"[\'cup\', \'plate\']","[13, 2]"',
        "3,P26,P26_01,wash plate,00:00:01,00:00:04,60,240,wash,4,plate,2,['plate'],[2]",
    ]
    write(
        root,
        {
            "annotations/EPIC_train_action_labels.csv": "\n".join([EPIC_55, *rows]) + "\n",
            "annotations/EPIC_verb_classes.csv": "verb_id,class_key,verbs\n"
            + "".join(f"{i},verb{i},\"['verb{i}']\"\n" for i in range(125)),
        },
    )


def epic_100(root, videos):
    """One video of each split."""
    link(root, videos, ["P01/videos/P01_101.MP4", "P02/videos/P02_01.MP4"])
    row = "{0}_0,{1},{0},00:00:01.100,00:00:00.54,00:00:02.23,27,111,take knife,take,0,knife,4,\"['knife']\",[4]"
    write(
        root,
        {
            "annotations/EPIC_100_train.csv": f"{EPIC_100}\n{row.format('P01_101', 'P01')}\n",
            "annotations/EPIC_100_validation.csv": f"{EPIC_100}\n{row.format('P02_01', 'P02')}\n",
        },
    )


def ucf101(root, videos):
    """Two classes and two of the three folds, which swap the groups."""
    names = [
        f"UCF-101/{name}/v_{name}_g{group:02d}_c01.avi" for name in ("Archery", "PlayingTabla") for group in (1, 2)
    ]
    link(root, videos, names)
    inner = [name.removeprefix("UCF-101/") for name in names]
    first, second = (inner[0], inner[2]), (inner[1], inner[3])
    write(root, {"ucfTrainTestlist/classInd.txt": "1 Archery\n2 PlayingTabla\n"})
    for fold, (train, test) in ((1, (first, second)), (2, (second, first))):
        rows = "".join(f"{path} {number}\n" for number, path in enumerate(train, 1))
        write(root, {f"ucfTrainTestlist/trainlist{fold:02d}.txt": rows})
        write(root, {f"ucfTrainTestlist/testlist{fold:02d}.txt": "".join(f"{path}\n" for path in test)})


def hmdb51(root, videos):
    """Two classes, each with a video of either split and one of none."""
    for name in ("brush_hair", "wave"):
        files = [f"{name}_of_#{i}_(x)&y_u_nm_np1_ba_goo_0.avi" for i in range(3)]
        link(root, videos, [f"{name}/{file}" for file in files])
        for fold in (1, 2, 3):
            rows = "".join(f"{file} {(i + fold) % 3} \n" for i, file in enumerate(files))
            write(root, {f"testTrainMulti_7030_splits/{name}_test_split{fold}.txt": rows})


def imported(root, videos):
    """What `avsf-det data import` writes of labels without boxes; one stretch has two of them."""
    link(root, videos, ["videos/holiday 1.mp4", "videos/kitchen, late.mp4"])
    write(
        root,
        {
            "annotations/train_clips.csv": 'holiday 1,0,2.5,9\nholiday 1,0,2.5,2\n"kitchen, late",1,3,2\n',
            "annotations/val_clips.csv": '"kitchen, late",0,1,9\n',
            "annotations/label_map.pbtxt": 'item {\n  name: "sit"\n  id: 2\n}\nitem {\n  name: "talk"\n  id: 9\n}\n',
        },
    )


LAYOUTS = {
    layout.__name__: layout
    for layout in (kinetics, path_labels, charades, charades_frames, epic_55, epic_100, ucf101, hmdb51, imported)
}
