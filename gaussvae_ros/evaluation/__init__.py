"""How good it is: metrics, peer codecs, rate-distortion, the report. Nothing here needs ROS."""
