"""Installs the Python package and the models (`pip install .`); CMakeLists.txt does it for ROS."""

from glob import glob

from setuptools import find_packages, setup

setup(
    name="gaussvae_ros",
    version="0.1.0",
    description="A robot's visual memory: camera frames as 2D Gaussian splats in one small file",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=["gaussvae_ros", "gaussvae_ros.*"]),
    package_data={"gaussvae_ros": ["entropy/*.json", "fleet/sql/*", "timeline/web/*"]},
    data_files=[("share/gaussvae_ros/models", glob("models/*"))],
    install_requires=[
        "constriction",
        "lz4",
        "matplotlib",
        "mcap",
        "numba",
        "numpy",
        "opencv-python-headless<5",
        "pillow",
        "rosbags",
        "ruamel.yaml",
        "safetensors",
        "sqlite-utils>=4.2.1",
        "tqdm",
        "zstandard",
    ],
    extras_require={
        "cuda": ["torch"],
        "fleet": ["fsspec", "psycopg[binary]", "pyarrow", "ray[data]"],
        "lerobot": ["pyarrow"],
        "mcp": ["mcp>=2"],
        "peers": ["av", "imageio-ffmpeg", "pysz", "zfpy"],
        "text": ["onnxruntime", "rapidocr>=3.10"],
        "train": ["optuna", "scipy", "tensorboard", "torch"],
    },
    entry_points={"console_scripts": ["gaussvae = gaussvae_ros.cli:main"]},
)
