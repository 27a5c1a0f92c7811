"""anomalib 2.x as its documents show it: `Engine.fit` on a `Folder`, then its torch model, one image at a time.

Runs in anomalib's environment, without kizu. With ``weights`` (a file of arrays named as timm names them) the network
is given those and the input they expect, and must compute what kizu's graph does; without, anomalib's own defaults
hold, and its network has random weights unless ``download`` lets it fetch them. Nothing else is fetched.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import _peer

TOLERANCE = 1e-4
"""How far features may lie from kizu's, as a share of the largest one."""

MEAN, SCALE = 127 / 255, 128 / 255
"""What EfficientNet-Lite expects, on inputs from 0 to 1."""


def forbid_downloads() -> None:
    """The hub's client must fail at once, not look for a network."""
    os.environ["HF_HUB_OFFLINE"] = "1"


class Anomalib:
    """``options``: ``model`` (patchcore or padim), ``weights`` and ``expected`` (files), ``download``."""

    def __init__(self, job: _peer.Job) -> None:
        warnings.filterwarnings("ignore")
        logging.disable(logging.INFO)
        if not job.options.get("download"):
            forbid_downloads()
        import anomalib.data
        import anomalib.engine  # noqa: F401
        import torch

        self._job = job
        self._picks: list[float] = []
        self._patches = 0
        torch.manual_seed(job.seed)
        self._model = self._made()
        if job.options.get("weights"):
            load_weights(self._model.model.feature_extractor.feature_extractor, job.options["weights"])
            require_equal(self._model.model.feature_extractor, job.options["expected"])

    def _made(self) -> Any:
        """The model: with the job's backbone and layers where it brings weights, as anomalib has it where not."""
        from anomalib.models import Padim, Patchcore

        job, options = self._job, self._job.options
        settings: dict[str, Any] = {"pre_trained": bool(options.get("download"))}
        if options.get("weights"):
            settings |= {"backbone": "tf_efficientnet_lite0", "layers": list(job.layers)}
            settings["pre_processor"] = pre_processor(job.side)
        settings |= {"visualizer": False, "evaluator": False}
        if options["model"] == "padim":
            return Padim(**settings, **({"n_features": options["dims"]} if "dims" in options else {}))
        return Patchcore(**settings, coreset_sampling_ratio=job.ratio)

    def fit(self, files: Sequence[str]) -> dict[str, Any]:
        started, inner, seconds = time.perf_counter(), self._model.fit, {}

        def fit() -> None:
            begun = time.perf_counter()
            seconds["features"] = begun - started
            self._watch_picks()
            inner()
            seconds["selection"] = time.perf_counter() - begun

        object.__setattr__(self._model, "fit", fit)
        with tempfile.TemporaryDirectory() as folder:
            self._engine(folder).fit(model=self._model, datamodule=folder_of(files, Path(folder)))
        self._model.eval()
        bank = getattr(self._model.model, "memory_bank", [])
        found = {**seconds, "patches": self._patches, "bank_rows": len(bank) or None}
        if not self._picks:
            return found
        return {**found, "picks": self._picks, "wanted": self._job.wanted(self._patches)}

    def _engine(self, folder: str) -> Any:
        from anomalib.engine import Engine

        return Engine(
            accelerator="cpu", logger=False, default_root_dir=folder, enable_progress_bar=False, limit_val_batches=0
        )

    def _watch_picks(self) -> None:
        """Note when each pick is made, and end after as many as the job allows."""
        store = getattr(self._model.model, "embedding_store", None)
        if not store:  # PaDiM picks nothing
            return
        self._patches = sum(len(rows) for rows in store)
        from anomalib.models.components.sampling import k_center_greedy as module

        class Watched(module.KCenterGreedy):  # type: ignore[misc,name-defined,unused-ignore]
            def update_distances(sampler, cluster_center: Any) -> None:  # noqa: N805
                if not self._picks:  # the first, at random
                    self._picks.append(time.perf_counter())
                super().update_distances(cluster_center)

            def get_new_idx(sampler) -> Any:  # noqa: N805
                found = super().get_new_idx()
                self._picks.append(time.perf_counter())
                return found

        self._model.coreset_sampling_ratio = (self._job.picked(self._patches) + 0.5) / self._patches
        from anomalib.models.image.patchcore import torch_model

        torch_model.KCenterGreedy = Watched

    def read(self, file: str) -> _peer.Image:
        from PIL import Image

        return np.array(Image.open(file).convert("RGB"))

    def score(self, image: _peer.Image) -> tuple[float, _peer.Map]:
        import torch

        with torch.inference_mode():
            batch = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
            found = self._model.model(self._model.pre_processor.transform(batch))
            return float(found.pred_score), np.asarray(found.anomaly_map[0, 0].numpy())

    def fill(self, rows: int) -> None:
        bank = self._model.model.memory_bank
        self._model.model.memory_bank = bank.repeat(-(-rows // len(bank)), 1)[:rows].clone()

    def size(self) -> float:
        import torch

        path = self._job.path / "model.pt"
        torch.save(self._model.state_dict(), path)
        return float(path.stat().st_size)

    def library(self) -> str:
        from importlib.metadata import version

        return ", ".join(f"{name} {version(name)}" for name in ("anomalib", "torch", "timm"))


def pre_processor(side: int) -> Any:
    """anomalib's own, with the mean and the deviation of EfficientNet-Lite."""
    from anomalib.pre_processing import PreProcessor
    from torchvision.transforms.v2 import Compose, Normalize, Resize

    return PreProcessor(transform=Compose([Resize((side, side), antialias=True), Normalize([MEAN] * 3, [SCALE] * 3)]))


def folder_of(files: Sequence[str], root: Path) -> Any:
    """A data module of these files, in their order, all of them to fit on."""
    from anomalib.data import Folder

    good = root / "good"
    good.mkdir()
    for number, file in enumerate(files):
        (good / f"{number:06}{Path(file).suffix}").symlink_to(Path(file).resolve())
    none = {"test_split_mode": "none", "val_split_mode": "none"}
    return Folder(name="peers", root=root, normal_dir="good", num_workers=os.cpu_count() or 1, **none)


def load_weights(network: Any, file: str) -> None:
    """Put in the arrays of ``file``; each parameter of the network must be among them."""
    import torch

    with np.load(file) as arrays:
        known = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    own = [name for name in network.state_dict() if not name.endswith("num_batches_tracked")]
    missing = [name for name in own if name not in known]
    if missing:
        raise SystemExit(f"{file}: no weights for {missing[0]} and {len(missing) - 1} others of timm's network")
    network.load_state_dict({name: known[name] for name in own}, strict=False)


def require_equal(extractor: Any, file: str) -> None:
    """Stop unless the network computes what kizu's graph does on the images in ``file``."""
    import torch

    with np.load(file) as arrays:
        images, expected = arrays["images"], {name: arrays[name] for name in arrays.files if name != "images"}
    with torch.inference_mode():
        found = extractor((torch.from_numpy(images).permute(0, 3, 1, 2).float() - 127) / 128)
    for name, wanted in expected.items():
        off = difference(found[name].permute(0, 2, 3, 1).numpy(), wanted)
        if off > TOLERANCE:
            raise SystemExit(f"{name}: timm's network differs from kizu's graph by {off:.2g} of its largest value")


def difference(found: npt.NDArray[np.float32], wanted: npt.NDArray[np.float32]) -> float:
    """The largest difference, as a share of the largest value."""
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


if __name__ == "__main__":
    _peer.run(Anomalib)
