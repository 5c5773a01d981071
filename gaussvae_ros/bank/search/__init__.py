"""What is asked of frames, and the indexes of place, time and words."""
