"""What is done with the frames of a whole memory file: made coarser, described, redacted, ..."""
