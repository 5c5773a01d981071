"""How good is it: metrics, peer codecs, rate-distortion, the report. Only models.py needs a model; none needs ROS."""
