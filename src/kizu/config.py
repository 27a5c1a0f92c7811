"""Everything that decides what a fit gives, in one document: a YAML file, command-line options, or Python.

A `Config` may leave things open (None); `resolved` fills them in from the backbone and the detector, and that
complete form is what a model file holds: fitting again with it gives the same model bit for bit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from kizu.errors import ParameterError, unknown_name
from kizu.memory import parse_size

_UNREADABLE = (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, RecursionError)
"""What PyYAML raises for text that is no YAML, or for a value that is not of its own tag."""


class _Loader(yaml.SafeLoader):
    """Plain values only, and ``1e-3`` is a number as in YAML 1.2 (PyYAML alone takes it for text)."""


_Loader.yaml_implicit_resolvers = {key: list(known) for key, known in yaml.SafeLoader.yaml_implicit_resolvers.items()}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


MOST_CHANNELS = 1024
"""Of one file."""

LATER = ("window", "channels", "reduced_jpeg")
"""Settings that models of schema 4 have not; models that leave them open do without."""


class DetectorConfig(BaseModel):
    """A detector's name, and parameters of its own beside it."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str = "patchcore"

    @property
    def parameters(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class Config(BaseModel):
    """What decides a fit. Every name is also a command-line option or reachable with ``--set``.

    >>> Config(detector="padim").detector.name
    'padim'
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    preset: str | None = Field(None, description="Holds wherever nothing else is said; see `kizu presets list`.")
    backbone: str = Field("efficientnet_lite0", description="The pretrained network: a name, or SOURCE:REFERENCE.")
    weights: str | None = Field(None, description="A weight file; none: random; null: the publisher's.")
    mean: tuple[float, float, float] | None = Field(None, description="Of the channels, for onnx:FILE, on 0 to 1.")
    std: tuple[float, float, float] | None = Field(None, description="Of the channels, for onnx:FILE, on 0 to 1.")
    layers: tuple[str, ...] | None = Field(
        None, min_length=1, description="Feature maps to use; null: the backbone's own choice."
    )
    groups: tuple[tuple[str, ...], ...] | None = Field(
        None, min_length=1, description="Of an ensemble: layers that share a memory bank, each a run of `layers`."
    )
    image_size: int | None = Field(None, ge=32, le=8192, description="Side of what the backbone sees, in pixels.")
    resize: int | None = Field(
        None, ge=32, le=8192, description="Side images are resized to before their middle is cut out; null: no cut."
    )
    keep_aspect: bool = Field(False, description="Resize the shorter side, keep proportions, and cut the middle out.")
    tile_size: int | None = Field(
        None, ge=32, le=8192, description="Pixels of the image that a tile shows each way; null: no tiles."
    )
    tile_stride: int | None = Field(
        None, ge=1, description="Pixels of the image from a tile to the next at most; null: as tile_border allows."
    )
    tile_border: int | None = Field(
        None, ge=0, description="Patches at a tile's inner sides that must not be used; null: an eighth of a tile."
    )
    tile_lattice: int | None = Field(
        None, ge=1, description="What places of tiles are multiples of; null: the coarsest layer's stride."
    )
    random_tiles: int | None = Field(
        None, ge=1, description="Tiles of an image that are fitted on, drawn at random; null: all."
    )
    roi: str | None = Field(
        None, description="The inspected area: X,Y,WIDTH,HEIGHT, a polygon X,Y X,Y X,Y, or a mask file; null: all."
    )
    foreground: bool = Field(False, description="Inspect where good images differ from their background.")
    window: tuple[float, float] | Literal["auto"] | None = Field(
        None,
        description="Samples LOW,HIGH that become 0 and 255, not rounded; auto: as good images have; null: 8 bits.",
    )
    channels: tuple[int, ...] | None = Field(
        None, description="Three channels of a file, numbered from 0, or one for all three; null: its colours."
    )
    reduced_jpeg: bool = Field(
        False, description="Decode JPEG files at a half, a quarter or an eighth where that is twice the size needed."
    )
    patch_stride: int | None = Field(8, ge=1, description="Pixels a patch; null: as fine as the finest layer.")
    interpolation: Literal["bilinear", "nearest"] = Field(
        "bilinear", description="How coarser layers are brought up."
    )
    patch_size: Literal[1, 3, 5, 7, 9] = Field(3, description="Positions of a layer averaged each way; 1: none.")
    embedding_dims: int | None = Field(
        None, ge=1, le=65536, description="Numbers a patch, averaged as the PatchCore authors do; null: all channels."
    )
    detector: DetectorConfig = Field(DetectorConfig(), description="The method and its parameters.")
    sigma: float | None = Field(None, ge=0, description="Blur of the anomaly map in pixels of image_size.")
    false_alarms: float = Field(0.01, ge=0, lt=1, description="Share of good parts that may be called NG.")
    review_budget: float = Field(0.05, ge=0, lt=1, description="Further share of good parts that people look at.")
    calibration: Literal["leave_one_out", "k_fold", "hold_out"] | None = Field(
        None, description="How good images not fitted on come about; null: leave_one_out where the detector can."
    )
    hold_out: float = Field(0.1, gt=0, lt=1, description="Share of good images kept back for hold_out.")
    folds: int = Field(5, ge=2, le=100, description="Parts of the good images for k_fold.")
    seed: int = Field(0, ge=0, description="Decides everything random.")
    memory: str | None = Field(
        None, description="What a fit may take, such as 2GB: more images are learnt block by block; null: no limit."
    )
    engine: Literal["onnxruntime", "openvino"] = Field("onnxruntime", description="What runs the backbone.")
    precision: Literal["float32", "bfloat16", "int8"] = Field("float32", description="What the backbone computes in.")
    providers: tuple[str, ...] | None = Field(
        None, min_length=1, description="ONNX Runtime's execution providers, best first; null: the CPU."
    )
    check_images: int = Field(
        3, ge=0, le=100, description="Good images kept in the model, which exports are checked on."
    )

    @field_validator("layers", "providers", mode="before")
    @classmethod
    def _split_names(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(","))
        return tuple(value) if isinstance(value, list) else value

    @field_validator("groups", mode="before")
    @classmethod
    def _nested(cls, value: object) -> object:
        """``blocks.1+blocks.2,blocks.4`` on one line, or lists as YAML has them."""
        if isinstance(value, str):
            value = [group.split("+") for group in value.split(",")]
        if not isinstance(value, list | tuple):
            return value
        groups = [tuple(group) if isinstance(group, list | tuple) else (group,) for group in value]
        return tuple(tuple(n.strip() if isinstance(n, str) else n for n in group) for group in groups)

    @field_validator("mean", "std", mode="before")
    @classmethod
    def _split_numbers(cls, value: object) -> object:
        if isinstance(value, str):
            value = value.split(",")
        try:
            return tuple(float(number) for number in value) if isinstance(value, list | tuple) else value
        except (TypeError, ValueError):
            raise ValueError("write three numbers such as 0.5,0.5,0.5") from None

    @field_validator("window", mode="before")
    @classmethod
    def _check_window(cls, value: object) -> object:
        """``auto``, ``0,4095`` on one line, or two numbers as YAML has them."""
        if value is None or value == "auto":
            return value
        try:
            low, high = (float(part) for part in (value.split(",") if isinstance(value, str) else value))  # type: ignore[attr-defined]
        except (TypeError, ValueError):
            raise ValueError("write auto, or two samples such as 0,4095") from None
        if not -math.inf < low < high < math.inf:
            raise ValueError("the first sample must be below the second, as in 0,4095")
        return low, high

    @field_validator("channels", mode="before")
    @classmethod
    def _check_channels(cls, value: object) -> object:
        """``0,1,2`` on one line, a number alone, or numbers as YAML has them."""
        if value is None:
            return None
        given = value.split(",") if isinstance(value, str) else [value] if isinstance(value, int) else value
        try:
            numbers = tuple(map(_whole, given))  # type: ignore[call-overload]
        except (TypeError, ValueError):
            numbers = ()
        if len(numbers) not in (1, 3) or not all(0 <= number < MOST_CHANNELS for number in numbers):
            raise ValueError(f"write one number or three from 0 to {MOST_CHANNELS - 1}, such as 0,1,2")
        return numbers

    @field_validator("memory")
    @classmethod
    def _check_memory(cls, value: str | None) -> str | None:
        try:
            parse_size("1GB" if value is None else value)
        except ParameterError:
            raise ValueError("write a size such as 2GB, 500MB or 1.5GiB") from None
        return value

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, value: Any) -> Any:
        """``detector: padim`` is short for ``detector: {name: padim}``."""
        if isinstance(value, Mapping) and isinstance(value.get("detector"), str):
            return {**value, "detector": {"name": value["detector"]}}
        return value

    def document(self) -> dict[str, Any]:
        """As a model file holds it: settings of `LATER` that are left open are left out."""
        return self.model_dump(mode="json", exclude={name for name in LATER if not getattr(self, name)})

    def to_yaml(self) -> str:
        """The document as a YAML file holds it."""
        text: str = yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
        return text


def parse(document: Mapping[str, Any], source: str = "the configuration") -> Config:
    """A `Config` from plain values. ``source``, what these are from, begins a message; "": nothing does.

    Raises `ParameterError`: one line, with the nearest names for a misspelt one.
    """
    begin = f"{source}: " if source else ""
    for key in document:
        if key not in Config.model_fields:
            raise ParameterError(f"{begin}{unknown_name('setting', str(key), Config.model_fields)}")
    try:
        return Config.model_validate(dict(document))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        said = str(first["ctx"]["error"]) if first["type"] == "value_error" else first["msg"]
        raise ParameterError(f"{begin}`{where}`: {said[0].lower()}{said[1:]}; got {first['input']!r}.") from None


def read(path: Path) -> dict[str, Any]:
    """The settings in a YAML file. Raises `ParameterError` when it cannot be read or is no mapping."""
    try:
        document = _from_yaml(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ParameterError(f"{path}: cannot read the configuration: {error.strerror}. Check the path.") from None
    except _UNREADABLE as error:
        problem = " ".join(str(error).split())
        raise ParameterError(f"{path}: not a YAML file in UTF-8: {problem}") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ParameterError(f"{path}: expected settings like `image_size: 256`, one a line; got {document!r}.")
    return document


def _from_yaml(text: str) -> Any:
    return yaml.load(text, Loader=_Loader)  # a SafeLoader


def with_settings(document: Mapping[str, Any], settings: Iterable[str]) -> dict[str, Any]:
    """``document`` with ``KEY=VALUE`` settings put in; ``detector.KEY`` reaches the detector's parameters.

    Values are YAML: ``0.1``, ``true``, ``null``, ``[blocks.2, blocks.4]``.

    >>> with_settings({"detector": "padim"}, ["detector.reduced_dims=50", "seed=1"])
    {'detector': {'name': 'padim', 'reduced_dims': 50}, 'seed': 1}
    """
    result = dict(document)
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key:
            raise ParameterError(f"--set {setting}: write KEY=VALUE, for example detector.coreset_ratio=0.1.")
        value = _parse_value(setting, text)
        section, dot, name = key.partition(".")
        if not dot:
            result[key] = value
        elif section == "detector":
            result["detector"] = {**_detector_mapping(result.get("detector")), name: value}
        else:
            known = [*Config.model_fields, f"detector.{name}"]
            raise ParameterError(f"--set {setting}: {unknown_name('setting', key, known)}")
    return result


def _detector_mapping(value: object) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    return {} if value is None else {"name": value}


def _whole(number: object) -> int:
    """A number, or its digits. Raises `TypeError` or ``ValueError`` for another."""
    if isinstance(number, bool | float):
        raise TypeError(f"{number} is no whole number")
    return int(number)  # type: ignore[call-overload, no-any-return]


def _parse_value(setting: str, text: str) -> Any:
    try:
        return _from_yaml(text)
    except _UNREADABLE:
        raise ParameterError(f"--set {setting}: cannot read the value; write it as in a YAML file.") from None
