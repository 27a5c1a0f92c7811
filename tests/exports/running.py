"""Running what was exported as its users do: by a bare runtime, where kizu cannot be imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

EARLIER = b"an earlier export, as kizu knows one: model_sha256"
"""What may stand at the name of an export and be replaced."""

BARE = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("kizu", "onnx", "cv2", "faiss"):
            raise ImportError(name)

sys.meta_path.insert(0, Refuse())
try:
    import kizu
except ImportError:
    pass
else:
    raise SystemExit("kizu can be imported here")
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
names = [output.name for output in session.get_outputs()]
images = np.load(sys.argv[2])
results = {}
for key in images.files:
    for name, value in zip(names, session.run(names, {"image": images[key]})):
        results[f"{key}.{name}"] = value
    results[f"{key}.metadata"] = np.array(str(sorted(session.get_modelmeta().custom_metadata_map.items())))
np.savez(sys.argv[3], **results)
"""


def run_bare(path: Path, images: list[np.ndarray], scratch: Path) -> list[dict[str, np.ndarray]]:
    """The outputs by name for each image, from ONNX Runtime in a process without kizu."""
    np.savez(scratch / "images.npz", **{str(number): image for number, image in enumerate(images)})
    command = [sys.executable, "-I", "-c", BARE, str(path), "images.npz", "results.npz"]
    done = subprocess.run(command, cwd=scratch, capture_output=True, check=False, encoding="utf-8")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    found = np.load(scratch / "results.npz")
    return [
        {key.partition(".")[2]: found[key] for key in found.files if key.partition(".")[0] == str(number)}
        for number in range(len(images))
    ]
