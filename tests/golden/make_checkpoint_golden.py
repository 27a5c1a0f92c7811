"""Writes checkpoint_{legacy,zip}.pth and checkpoint.npz: tensors as PyTorch saves and as NumPy sees them.

Not part of the test run. To make the files anew, in an environment of its own::

    pip install torch numpy
    python tests/golden/make_checkpoint_golden.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

HERE = Path(__file__).parent


def main() -> None:
    import torch

    base = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4) / 7
    tensors = {
        "contiguous": base,
        "transposed, same storage": base.permute(2, 0, 1),
        "slice, same storage": base[1, 1:, ::2],
        "double": torch.tensor([1 / 3, -2.0], dtype=torch.float64),
        "half": torch.tensor([0.5, 65504.0], dtype=torch.float16),
        "long scalar": torch.tensor(-(2**40)),
        "bool": torch.tensor([True, False]),
        "byte": torch.tensor([0, 255], dtype=torch.uint8),
        "empty": torch.empty(0, 3),
    }
    torch.save(tensors, HERE / "checkpoint_legacy.pth", _use_new_zipfile_serialization=False)
    torch.save(tensors, HERE / "checkpoint_zip.pth")
    np.savez_compressed(HERE / "checkpoint.npz", **{key: value.numpy() for key, value in tensors.items()})


if __name__ == "__main__":
    main()
