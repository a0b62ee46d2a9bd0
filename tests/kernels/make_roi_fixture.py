"""Makes roi.safetensors: PyTorch's `grid_sample` and torchvision's `roi_align` on a small map, at places inside, across the
edge and outside of it.

    pip install torch==2.15.0 torchvision safetensors
    python tests/kernels/make_roi_fixture.py
"""

from pathlib import Path

import torch
import torch.nn.functional as F
import torchvision
from safetensors.torch import save_file

torch.manual_seed(0)
MAP = torch.randn(2, 5, 9, 7)
# Shares of width and height.
POINTS = torch.tensor([[[0.3, 0.4], [0.0, 1.0], [0.99, 0.02]], [[0.5, 0.5], [1.2, 0.3], [-0.04, 0.51]]])
# Left, top, right, bottom in cells: inside, tiny, across the edge, as large as the map.
BOXES = torch.tensor(
    [[[1.2, 0.7, 5.9, 7.1], [2.0, 3.0, 2.2, 3.1]], [[-2.5, -1.5, 3.0, 4.0], [0.0, 0.0, 7.0, 9.0]]]
)
grid = POINTS.unsqueeze(2) * 2 - 1
sampled = F.grid_sample(MAP, grid, align_corners=False).squeeze(-1).transpose(1, 2)
pooled = torchvision.ops.roi_align(MAP, list(BOXES), 7).view(2, 2, 5, 7, 7)
tensors = {
    "map": MAP.permute(0, 2, 3, 1), "points": POINTS, "boxes": BOXES,
    "grid_sample": sampled, "roi_align": pooled.permute(0, 1, 3, 4, 2),
}
save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, Path(__file__).with_name("roi.safetensors"))
