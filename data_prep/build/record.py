"""AnnotatedDatum: what an annotated LMDB holds of one image."""

from __future__ import annotations

from collections.abc import Mapping

from caffe_ir import caffe_ir_pb2 as pb
from data_prep.images.image import EncodedImage
from data_prep.sources.source import Annotation


def annotated_datum(image: EncodedImage, annotation: Annotation, labels: Mapping[str, int]) -> pb.AnnotatedDatum:
    """The record of an image with its objects.

    So convert_annoset makes it with --anno_type=detection. Objects are grouped by label in order of
    appearance. Boxes are divided by the size that the annotation states, or the image's where it
    states none, and neither clipped nor fixed.

    labels: every class of the annotation to its label
    Source: weiliu89/caffe (ssd), src/caffe/util/io.cpp, ReadRichImageToAnnotatedDatum.
    """
    record = labelled_datum(image, -1)
    record.type = pb.AnnotatedDatum.BBOX
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


def labelled_datum(image: EncodedImage, label: int) -> pb.AnnotatedDatum:
    """The record of an image with one label.

    So convert_annoset makes it with --anno_type=classification.
    """
    record = pb.AnnotatedDatum()
    datum = record.datum
    datum.channels, datum.height, datum.width = image.shape
    datum.data, datum.label, datum.encoded = image.data, label, image.encoded
    return record


def stated_size(image: EncodedImage, annotation: Annotation) -> tuple[int, int]:
    """(width, height) that boxes are divided by: the annotation's, or else the image's."""
    if annotation.width > 0 and annotation.height > 0:
        return annotation.width, annotation.height
    return image.width, image.height
