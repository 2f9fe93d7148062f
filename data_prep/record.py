"""AnnotatedDatum: what an annotated LMDB holds of one image."""

from __future__ import annotations

from collections.abc import Mapping

from caffe_ir import caffe_ir_pb2 as pb
from data_prep.image import EncodedImage
from data_prep.source import Annotation


def annotated_datum(image: EncodedImage, annotation: Annotation, labels: Mapping[str, int]) -> pb.AnnotatedDatum:
    """The record of an image, as the SSD fork's convert_annoset makes it (--encoded --encode_type=jpg).

    labels: every class of the annotation to its label. Objects are grouped by label in order of appearance; boxes are
    divided by the size that the annotation states (the image's where it states none) and neither clipped nor mended.
    Source: weiliu89/caffe (ssd), src/caffe/util/io.cpp, ReadRichImageToAnnotatedDatum.
    """
    record = pb.AnnotatedDatum(type=pb.AnnotatedDatum.BBOX)
    record.datum.MergeFrom(pb.Datum(channels=3, height=image.height, width=image.width, data=image.data, label=-1, encoded=True))
    width, height = stated_size(image, annotation)
    groups: dict[int, pb.AnnotationGroup] = {}
    for o in annotation.objects:
        label = labels[o.name]
        if label not in groups:
            groups[label] = record.annotation_group.add(group_label=label)
        group = groups[label]
        box = group.annotation.add(instance_id=len(group.annotation)).bbox
        box.xmin, box.ymin, box.xmax, box.ymax = o.xmin / width, o.ymin / height, o.xmax / width, o.ymax / height
        box.difficult = o.difficult
    return record


def stated_size(image: EncodedImage, annotation: Annotation) -> tuple[int, int]:
    """(width, height) that boxes are divided by: the annotation's, or the image's where the annotation has none."""
    return (annotation.width, annotation.height) if annotation.width > 0 and annotation.height > 0 else (image.width, image.height)
