"""Makes the records of an annotated LMDB, one AnnotatedDatum for each image."""

from __future__ import annotations

from collections.abc import Mapping

from caffe_ir import caffe_ir_pb2 as pb
from data_prep.images.image import EncodedImage
from data_prep.sources.source import Annotation


def annotated_datum(
    image: EncodedImage,
    annotation: Annotation,
    labels: Mapping[str, int],
) -> pb.AnnotatedDatum:
    """Make the record of an image with its objects, as convert_annoset --anno_type=detection does.

    Objects are grouped by label in the order in which labels appear. Boxes are divided by the size
    that the annotation states, or by the image's where it states none; they are neither clipped nor
    fixed.

    labels: label of every class of the annotation.
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
        box.xmin = o.xmin / width
        box.ymin = o.ymin / height
        box.xmax = o.xmax / width
        box.ymax = o.ymax / height
        box.difficult = o.difficult
    return record


def labelled_datum(image: EncodedImage, label: int) -> pb.AnnotatedDatum:
    """Make the record of an image with a label, as convert_annoset --anno_type=classification does.

    label: of the whole image.
    """
    record = pb.AnnotatedDatum()
    datum = record.datum
    datum.channels, datum.height, datum.width = image.shape
    datum.data = image.data
    datum.label = label
    datum.encoded = image.encoded
    return record


def stated_size(image: EncodedImage, annotation: Annotation) -> tuple[int, int]:
    """Return (width, height) that boxes are divided by: the annotation's, or else the image's."""
    if annotation.width > 0 and annotation.height > 0:
        return annotation.width, annotation.height
    return image.width, image.height
