"""Bags without ROS: a stream of stamped images, and the camera's poses beside it."""

from gaussvae_ros.bags.bag import IMAGE_TYPES, STORAGE, Bag, BagImage
from gaussvae_ros.bags.poses import POSE_TYPES, TF_TYPES

__all__ = ["IMAGE_TYPES", "POSE_TYPES", "STORAGE", "TF_TYPES", "Bag", "BagImage"]
