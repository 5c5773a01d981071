"""What is done once, elsewhere: data, losses, training, published baselines.

Needs the extra `train`, with torch. Nothing that runs on a robot imports it.
"""

# Before torch: it sets how long idle threads spin, which torch reads at import.
import gaussvae_ros.kernels  # noqa: F401
from gaussvae_ros.errors import TrainingError
from gaussvae_ros.extras import install

try:
    import torch  # noqa: F401
except ImportError as error:
    raise TrainingError(f"training needs torch: {install('train')}") from error
