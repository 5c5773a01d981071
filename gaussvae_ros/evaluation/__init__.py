"""How good is it: metrics, peer codecs, rate-distortion and the report. Needs no model and no ROS."""
