"""What frames show, made of the camera's own pictures: words that are read, vectors of encoders.

Nothing here is needed to remember and recall: packages are imported only where somebody asks.
"""
