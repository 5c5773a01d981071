"""The ROS 2 nodes. Nothing else in this package imports ROS."""
