"""What frames show: descriptors of places, and what is learned on splats without drawing them."""
