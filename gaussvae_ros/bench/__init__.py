"""What `gaussvae bench` measures. A process of its own imports of it what it measures with, alone,
so that it holds no more memory than what is measured.
"""
