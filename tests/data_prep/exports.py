"""Write the images of a VOC-style folder as annotation tools and benchmarks have them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from data_prep.sources.source import Annotation, Item, Object

Annotated = list[tuple[Item, Annotation]]


def sides(o: Object) -> tuple[float, float]:
    return o.xmax - o.xmin, o.ymax - o.ymin


def cvat(root: Path, items: Annotated) -> None:
    lines = ["<annotations>", "<version>1.1</version>", "<meta><dumped/></meta>"]
    for item, a in items:
        lines.append(
            f'<image id="0" name="{Path(item.image).name}" width="{a.width}" height="{a.height}">'
        )
        for o in a.objects:
            corners = f'xtl="{o.xmin}" ytl="{o.ymin}" xbr="{o.xmax}" ybr="{o.ymax}"'
            lines.append(f'  <box label="{o.name}" {corners} occluded="1">')
            difficult = str(o.difficult).lower()
            lines.append(f'    <attribute name="difficult">{difficult}</attribute>')
            lines.append("  </box>")
        lines.append("</image>")
    (root / "annotations.xml").write_text("\n".join([*lines, "</annotations>"]))


def labelme(root: Path, items: Annotated) -> None:
    for item, a in items:
        shapes = [
            {
                "label": o.name,
                "points": [[o.xmax, o.ymin], [o.xmin, o.ymax]],
                "shape_type": "rectangle",
                "flags": {"difficult": o.difficult},
            }
            for o in a.objects
        ]
        name = Path(item.image).name
        whole = {
            "version": "5.5.0",
            "flags": {},
            "shapes": shapes,
            "imagePath": name,
            "imageData": None,
            "imageHeight": a.height,
            "imageWidth": a.width,
        }
        (root / name).with_suffix(".json").write_text(json.dumps(whole, indent=2))


def via(root: Path, items: Annotated) -> None:
    whole = {}
    for item, a in items:
        name = Path(item.image).name
        regions = [
            {
                "shape_attributes": {
                    "name": "rect",
                    "x": o.xmin,
                    "y": o.ymin,
                    "width": sides(o)[0],
                    "height": sides(o)[1],
                },
                "region_attributes": {"kind": o.name},
            }
            for o in a.objects
        ]
        whole[f"{name}77"] = {"filename": name, "size": 77, "regions": regions}
    (root / "via.json").write_text(json.dumps(whole, indent=2))


def labelstudio(root: Path, items: Annotated) -> None:
    tasks = []
    for number, (item, a) in enumerate(items):
        result = [
            {
                "id": f"r{i}",
                "type": "rectanglelabels",
                "original_width": a.width,
                "original_height": a.height,
                "image_rotation": 0,
                "value": {
                    "x": 100 * o.xmin / a.width,
                    "y": 100 * o.ymin / a.height,
                    "width": 100 * sides(o)[0] / a.width,
                    "height": 100 * sides(o)[1] / a.height,
                    "rotation": 0,
                    "rectanglelabels": [o.name],
                },
            }
            for i, o in enumerate(a.objects)
        ]
        image = f"/data/upload/1/0a1b2c3d-{Path(item.image).name}"
        annotations = [{"id": number, "was_cancelled": False, "result": result}]
        tasks.append({"id": number, "data": {"image": image}, "annotations": annotations})
    (root / "project.json").write_text(json.dumps(tasks, indent=2))


def createml(root: Path, items: Annotated) -> None:
    whole = []
    for item, a in items:
        annotations = [
            {
                "label": o.name,
                "coordinates": {
                    "x": (o.xmin + o.xmax) / 2,
                    "y": (o.ymin + o.ymax) / 2,
                    "width": sides(o)[0],
                    "height": sides(o)[1],
                },
            }
            for o in a.objects
        ]
        whole.append({"image": Path(item.image).name, "annotations": annotations})
    (root / "_annotations.createml.json").write_text(json.dumps(whole, indent=2))


def dota(root: Path, items: Annotated) -> None:
    (root / "labelTxt").mkdir()
    for item, a in items:
        lines = ["imagesource:GoogleEarth", "gsd:null"]
        for o in a.objects:
            corners = f"{o.xmin} {o.ymin} {o.xmax} {o.ymin} {o.xmax} {o.ymax} {o.xmin} {o.ymax}"
            lines.append(f"{corners} {o.name} {int(o.difficult)}")
        file = root / "labelTxt" / f"{Path(item.image).stem}.txt"
        file.write_text("\n".join([*lines, ""]))


def widerface(root: Path, items: Annotated) -> None:
    """Every object as a face."""
    lines = []
    for item, a in items:
        lines += [Path(item.image).name, str(len(a.objects))]
        for o in a.objects:
            width, height = sides(o)
            lines.append(f"{o.xmin} {o.ymin} {width} {height} 0 0 0 {int(o.difficult)} 0 0 ")
        if not a.objects:
            lines.append("0 0 0 0 0 0 0 0 0 0 ")
    (root / "wider_face_split").mkdir()
    file = root / "wider_face_split/wider_face_train_bbx_gt.txt"
    file.write_text("\n".join([*lines, ""]))


def visdrone(root: Path, items: Annotated) -> None:
    """Every object as a car."""
    (root / "annotations").mkdir()
    for item, a in items:
        lines = []
        for o in a.objects:
            width, height = sides(o)
            lines.append(f"{o.xmin},{o.ymin},{width},{height},{int(not o.difficult)},4,0,0")
        file = root / "annotations" / f"{Path(item.image).stem}.txt"
        file.write_text("\n".join([*lines, ""]))


Writer = tuple[str, Callable[[Path, Annotated], None]]
# Where the images go, and what writes the annotations.
EXPORTS: dict[str, Writer] = {
    "cvat": ("images", cvat),
    "labelme": ("", labelme),
    "via": ("", via),
    "labelstudio": ("", labelstudio),
    "createml": ("", createml),
    "dota": ("images", dota),
}
# Those with classes of their own.
OWN_CLASSES: dict[str, Writer] = {
    "widerface": ("WIDER_train/images", widerface),
    "visdrone": ("images", visdrone),
}
