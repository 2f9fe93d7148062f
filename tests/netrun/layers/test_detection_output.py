"""DetectionOutput against the fork's golden cases, its result files, and its refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from netrun.layers import Layer
from ssd_common.errors import LayerError
from tests.netrun.layers.detection_support import close, make_layer, run_golden
from tests.support import golden


@pytest.mark.parametrize("path", golden("detection/detection_*.npz"))
def test_golden(path):
    top, wanted, _ = run_golden(path)
    assert top.shape == wanted.shape
    np.testing.assert_array_equal(top[..., :3], wanted[..., :3])  # the same boxes in the same order
    assert close(top, wanted)


PRIORS = torch.tensor([[0.1, 0.1, 0.5, 0.5, 0.5, 0.5, 0.9, 0.9, 0.1, 0.1, 0.5, 0.6], [0.1] * 12])[
    None
]


def run_layer(options: str, scores: list[list[list[float]]]) -> tuple[Layer, np.ndarray]:
    """The layer, and its rows for scores [image][prior][class] over PRIORS.

    Locations are 0: boxes are the priors.
    """
    layer = make_layer(
        f'layer {{ name: "d" type: "DetectionOutput" '
        f"detection_output_param {{ num_classes: 3 {options} }} }}"
    )
    conf = torch.tensor(scores)
    return layer, layer.forward([torch.zeros(len(conf), 12), conf.flatten(1), PRIORS])[0].numpy()


def run(options: str, scores: list[list[list[float]]]) -> np.ndarray:
    """The rows that `run_layer` gives."""
    return run_layer(options, scores)[1]


TWO_IMAGES = [[[0.2, 0.8, 0.0], [0.3, 0.1, 0.6], [0.1, 0.85, 0.05]], [[0.9, 0.05, 0.05]] * 3]


def test_rows_by_hand():
    rows = run("nms_param { nms_threshold: 0.5 } confidence_threshold: 0.09", TWO_IMAGES)
    # Image 0, class 1: prior 2 (.85) beats prior 0 (IoU .16 / .2 = .8), prior 1 (.1) lies apart;
    # class 2: prior 1. Image 1: nothing.
    assert rows.shape == (1, 1, 3, 7)
    expected = [
        [0, 1, 0.85, 0.1, 0.1, 0.5, 0.6],
        [0, 1, 0.1, 0.5, 0.5, 0.9, 0.9],
        [0, 2, 0.6, 0.5, 0.5, 0.9, 0.9],
    ]
    np.testing.assert_allclose(rows[0, 0], expected, rtol=1e-6)


@pytest.mark.parametrize("options", ["", "keep_top_k: 2", "share_location: false"])
@pytest.mark.parametrize("soft_nms", [False, True])
def test_with_the_background_as_only_class_nothing_is_found(options, soft_nms):
    layer = make_layer(
        f'layer {{ name: "d" type: "DetectionOutput" '
        f"detection_output_param {{ num_classes: 1 {options} }} }}",
        soft_nms=soft_nms,
    )
    [rows] = layer.forward([torch.zeros(2, 12), torch.ones(2, 3), PRIORS])
    assert rows.tolist() == [[[[0] + [-1] * 6, [1] + [-1] * 6]]]


def test_keep_top_k_counts_over_classes():
    rows = run(
        "nms_param { nms_threshold: 0.5 } confidence_threshold: 0.09 keep_top_k: 2", TWO_IMAGES
    )
    np.testing.assert_allclose(rows[0, 0, :, 2], [0.85, 0.6], rtol=1e-6)


@pytest.mark.parametrize(
    "options", ["confidence_threshold: 0.99", "nms_param { top_k: 0 }", "keep_top_k: 0"]
)
def test_nothing_found_is_one_row_an_image(options):
    assert run(options, TWO_IMAGES).tolist() == [[[[0] + [-1] * 6, [1] + [-1] * 6]]]


def saving(
    tmp_path, output_format: str, more: str = "", names: str = "a 200 100\nb 50 50\n"
) -> str:
    label = (
        ("none_of_the_above", "10", "20")
        if output_format == "COCO"
        else ("none_of_the_above", "cat", "dog")
    )
    items = "".join(
        f'item {{ name: "{name}" label: {i} display_name: "{name}" }}\n'
        for i, name in enumerate(label)
    )
    (tmp_path / "map.prototxt").write_text(items)
    (tmp_path / "sizes.txt").write_text(names)
    return (
        "nms_param { nms_threshold: 0.5 } confidence_threshold: 0.09 save_output_param { "
        f'output_directory: "{tmp_path}/out" output_name_prefix: "det_" '
        f'output_format: "{output_format}" '
        f'label_map_file: "{tmp_path}/map.prototxt" '
        f'name_size_file: "{tmp_path}/sizes.txt" {more} }}'
    )


def test_voc_files(tmp_path):
    run(saving(tmp_path, "VOC"), TWO_IMAGES)
    # Image a is 100 wide, 200 high: (.1, .1, .5, .6) is (10, 20, 50, 120), (.5, .5, .9, .9) is (50,
    # 100, 90, 180).
    assert (
        tmp_path / "out/det_cat.txt"
    ).read_text() == "a 0.85 10 20 50 120\na 0.1 50 100 90 180\n"
    assert (tmp_path / "out/det_dog.txt").read_text() == "a 0.6 50 100 90 180\n"
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["det_cat.txt", "det_dog.txt"]


def test_ilsvrc_file(tmp_path):
    run(saving(tmp_path, "ILSVRC"), TWO_IMAGES)
    assert (
        tmp_path / "out/det_.txt"
    ).read_text() == "a 1 0.85 10 20 50 120\na 1 0.1 50 100 90 180\na 2 0.6 50 100 90 180\n"


@pytest.mark.parametrize(
    ("output_format", "file"), [("VOC", "det_cat.txt"), ("ILSVRC", "det_.txt")]
)
def test_an_images_name_keeps_its_bytes(tmp_path, output_format, file):
    param = saving(tmp_path, output_format)
    (tmp_path / "sizes.txt").write_bytes(b"caf\xe9 200 100\nb 50 50\n")
    run(param, TWO_IMAGES)
    assert (tmp_path / "out" / file).read_bytes().startswith(b"caf\xe9 ")


def test_coco_file_has_numbers_where_names_are_numbers(tmp_path):
    run(saving(tmp_path, "COCO", names="7 200 100\nx8 50 50\n"), [TWO_IMAGES[0], TWO_IMAGES[0]])
    records = json.loads((tmp_path / "out/det_.json").read_text())
    assert len(records) == 6
    assert records[0] == {
        "image_id": 7,
        "category_id": 10,
        "bbox": [10, 20, 40, 100],
        "score": pytest.approx(0.85),
    }
    assert records[3]["image_id"] == "x8"
    assert np.float32(records[0]["score"]) == np.float32(0.85)


def test_files_come_after_num_test_image_images_and_begin_anew(tmp_path):
    options = saving(tmp_path, "VOC", "num_test_image: 1")
    run(
        options, TWO_IMAGES
    )  # image 0 fills the first round, image 1, again as 'a', the second: nothing found
    assert (tmp_path / "out/det_cat.txt").read_text() == ""
    layer_options = saving(tmp_path, "VOC")
    run(layer_options, TWO_IMAGES[:1])  # one of two images: not yet
    assert (tmp_path / "out/det_cat.txt").read_text() == ""


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            "visualize: true",
            "visualize: netrun opens no windows.*`netrun detect --model .* frames`",
        ),
        ("nms_param { eta: 0 }", "eta: must be above 0"),
        ("nms_param { nms_threshold: -1 }", "must not be negative"),
    ],
)
def test_refuses(options, said):
    with pytest.raises(LayerError, match=said):
        run(options, TWO_IMAGES)


def test_without_its_label_map_it_detects_and_says_that_it_saves_nothing(tmp_path, caplog):
    options = saving(tmp_path, "VOC")
    (tmp_path / "map.prototxt").unlink()
    rows = run(options, TWO_IMAGES)
    assert rows.shape[-1] == 7
    assert "map.prototxt: no such file; detections are not saved" in caplog.text
    assert not list(tmp_path.rglob("*_cat.txt"))


def test_refuses_files_that_do_not_serve(tmp_path):
    with pytest.raises(LayerError, match=r"no output_format 'VOCC' \(did you mean 'VOC'\?\)"):
        run(saving(tmp_path, "VOCC"), TWO_IMAGES)
    with pytest.raises(LayerError, match=r"num_test_image is 3, but .*sizes\.txt names 2 images"):
        run(saving(tmp_path, "VOC", "num_test_image: 3"), TWO_IMAGES)
    with pytest.raises(
        LayerError, match=r"sizes\.txt:2: expected 'name height width', found 'b 50'"
    ):
        run(saving(tmp_path, "VOC", names="a 1 2\nb 50\n"), TWO_IMAGES)


def with_names(tmp_path: Path, label: str, prefix: str) -> str:
    """Options that save VOC files under a prefix; `label` takes the place of class 1's name."""
    options = saving(tmp_path, "VOC").replace('"det_"', f'"{prefix}"')
    labels = tmp_path / "map.prototxt"
    labels.write_text(labels.read_text().replace("cat", label))
    return options


def everything_in(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize(
    ("label", "prefix", "file"),
    [
        ("cat", "", "cat.txt"),
        ("car/truck", "det_", "det_car%2Ftruck.txt"),
        ("/../out_of_it", "det_", "det_%2F..%2Fout_of_it.txt"),
        ("/../out_of_it", "", "%2F..%2Fout_of_it.txt"),
        ("100%", "", "100%.txt"),
        ("%2F", "", "%252F.txt"),
        ("tab\\there", "", "tab%09here.txt"),
        ("cat", "comp4/det_", "comp4/det_cat.txt"),
        ("cat", "./det_", "det_cat.txt"),
    ],
)
def test_result_files_stay_in_their_folder(tmp_path, label, prefix, file):
    run(with_names(tmp_path, label, prefix), TWO_IMAGES)
    start = prefix.removeprefix("./")
    assert everything_in(tmp_path) == sorted(
        ["map.prototxt", "sizes.txt", f"out/{file}", f"out/{start}dog.txt"]
    )
    assert (tmp_path / "out" / file).read_text().startswith("a 0.85 10 20 50 120\n")


@pytest.mark.parametrize(
    "prefix", ["x/../../det_", "../det_", "..//det_", "/tmp/det_", "a/../det_"]
)
def test_a_prefix_that_leads_out_is_refused(tmp_path, prefix):
    options = with_names(tmp_path, "cat", prefix)
    with pytest.raises(LayerError, match=f"'{prefix}' leads out of output_directory"):
        run(options, TWO_IMAGES)
    assert everything_in(tmp_path) == ["map.prototxt", "sizes.txt"]


def test_a_link_that_leads_out_is_refused(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/comp4").symlink_to(tmp_path)
    with pytest.raises(LayerError, match="leads out of output_directory"):
        run(with_names(tmp_path, "cat", "comp4/det_"), TWO_IMAGES)


def test_a_result_file_that_cannot_be_written_costs_no_pass(tmp_path):
    options = with_names(tmp_path, "cat" * 90, "det_")
    layer, rows = run_layer(options, TWO_IMAGES)
    assert len(rows[0, 0]) == 3
    [fault] = layer.take_faults()
    assert fault.endswith("cannot write: File name too long: detections are not saved")
    assert layer.take_faults() == []
    # The other class has its file.
    assert everything_in(tmp_path / "out") == ["det_dog.txt"]


def test_a_label_without_a_name_costs_no_pass(tmp_path):
    options = saving(tmp_path, "VOC", "num_test_image: 1")
    labels = tmp_path / "map.prototxt"
    labels.write_text(labels.read_text().replace("label: 2", "label: 9"))
    layer, _ = run_layer(options, TWO_IMAGES)
    [fault] = layer.take_faults()
    assert "map.prototxt has no label 2, which was detected" in fault
    # The second image, again as 'a', begins anew: nothing found.
    assert (tmp_path / "out/det_cat.txt").read_text() == ""
