"""Bags without ROS: a stream of stamped images, and the camera's poses beside it."""

from gaussvae_ros.bags.bag import IMAGE_TYPES, Bag, BagImage
from gaussvae_ros.bags.folder import is_bag
from gaussvae_ros.bags.pose_topics import POSE_TYPES
from gaussvae_ros.bags.poses import TF_TYPES

__all__ = ["IMAGE_TYPES", "POSE_TYPES", "TF_TYPES", "Bag", "BagImage", "is_bag"]
