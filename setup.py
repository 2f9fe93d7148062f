"""Installs the four packages and their commands: netgen, data_prep, netrun. `make` does this in .venv from constraints.txt."""

from pathlib import Path

from setuptools import find_packages, setup

setup(
    name="ssd-zoo",
    version="0.1.0",
    description="The SSD family of object detectors for Caffe: net generators, data preparation, and an engine that runs them on PyTorch",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.10",
    packages=find_packages(include=["ssd_common*", "caffe_ir*", "netgen*", "netrun*", "data_prep*"]),
    package_data={
        "caffe_ir": ["caffe_ir.proto", "caffe_ir_pb2.pyi"],
        "data_prep": ["labelmaps/*.prototxt", "labelmaps/*.txt"],
        "netgen": ["python_layers/*.py"],
    },
    install_requires=[
        "protobuf>=4.21",
        "numpy>=1.24",
        "lmdb>=1.4",
        "h5py>=3.7",
        "opencv-python-headless>=4.8,<5",
        "matplotlib>=3.7",
        "pycocotools>=2.0.7",
        "tqdm>=4.64",
        "torch>=2.4",
        "pooch>=1.7",
        "requests>=2.28",
    ],
    extras_require={
        "dask": ["distributed>=2023.5"],  # data_prep --scheduler
        "draw": ["pydot>=1.4.2"],  # caffe.draw
        "dev": ["distributed>=2023.5", "pydot>=1.4.2", "pytest>=8", "ruff", "mypy", "types-protobuf"],
    },
    entry_points={
        "console_scripts": [
            "netgen = netgen.cli:entry",
            "data_prep = data_prep.cli:entry",
            "netrun = netrun.cli:entry",
        ]
    },
)
