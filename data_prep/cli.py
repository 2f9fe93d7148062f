"""The command line `data_prep`."""

from __future__ import annotations

from collections.abc import Sequence

from data_prep.commands import build
from ssd_common.command import Program, run_command
from ssd_common.installation import require_own_netgen
from ssd_common.machine import collect_rarely

PROGRAM = Program(
    name="data_prep",
    description="Annotated LMDBs for Caffe's SSD fork and netrun, from a folder of photographs.",
    commands={
        **build.COMMANDS,
        "paper": (
            "data_prep.commands.paper",
            "build a paper's data set where its nets look for it:"
            " VOC0712, VOC0712++, COCO, ILSVRC DET",
        ),
        "check": (
            "data_prep.commands.check",
            "say everything that is wrong with a data set, before anything is built",
        ),
        "formats": (
            "data_prep.commands.formats",
            "list all kinds of data sets that can be read: what each looks like, and a command",
        ),
        "fetch": ("data_prep.commands.fetch", "download VOC or COCO, check it, unpack it"),
        "shapes": (
            "data_prep.commands.shapes",
            "draw a small data set of shapes and build its LMDBs",
        ),
        "show": (
            "data_prep.commands.show",
            "draw images of an LMDB with their boxes as one sheet",
        ),
        "stats": (
            "data_prep.commands.stats",
            "count classes, sizes and shapes of objects,"
            " and how well a net's prior boxes cover them",
        ),
        "export": (
            "data_prep.commands.export",
            "write LMDBs out as images and annotations, for other tools: VOC, COCO, YOLO",
        ),
        "verify": (
            "data_prep.commands.verify",
            "read an LMDB to its end: decode every image, check every label and box",
        ),
    },
    examples="""
        data_prep shapes --out data/shapes
        data_prep voc VOC2007 --list trainval --labelmap voc --out data/voc2007_lmdb
        data_prep voc PHOTOS --test-share 0.2 --out data/mine
        data_prep fetch voc0712 --out ~/data && data_prep paper voc0712 ~/data
        data_prep coco COCO --list train2017 --classes person,car --out data/street
        data_prep check yolo PHOTOS --train-list train --test-list val
        data_prep stats lmdb data/mine/train_lmdb --net ssd300_voc0712 --out stats.png
        data_prep show data/shapes/test_lmdb --out sheet.png
        data_prep export data/mine/train_lmdb --format coco --out mine_coco""",
)


def main(argv: Sequence[str]) -> int:
    """Run one command and return its exit status. Raises CaffeError."""
    require_own_netgen()
    return PROGRAM.main(argv)


def entry() -> int:
    """Run the console script `data_prep`."""
    collect_rarely()
    return run_command("data_prep", main)
