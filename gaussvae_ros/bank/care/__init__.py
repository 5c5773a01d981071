"""A memory file as a whole: what it holds, whether it is sound, repaired, erased for good."""
