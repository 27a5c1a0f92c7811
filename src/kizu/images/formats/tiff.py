"""TIFF 6.0 and BigTIFF: the first page, when its samples are unsigned and of 1, 8 or 16 bits.

Known of the decoder behind OpenCV, and set right here (all versions from 4.9 to 5.0 agree):

- it applies the orientation tag by itself, whatever the flags;
- it multiplies 8-bit colours by an unassociated alpha: the tag that says so is blanked for it;
- it leaves 16-bit "zero is white" as it is: the reader inverts;
- 16-bit samples in separate planes come out scrambled, other kinds of sample as noise: refused.
"""

from __future__ import annotations

from kizu.images.formats._base import Bytes, Format, Header, cut_short, damaged, unsupported
from kizu.images.formats._ifd import ORIENTATION, Directory, read_directory

_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _PLANES = 256, 257, 258, 262, 284
_EXTRA_SAMPLES, _SAMPLE_FORMAT = 338, 339
_PIECES = ((273, 279), (324, 325))  # offsets and byte counts: of strips, of tiles
_UNASSOCIATED = 2
_KINDS = {2: "signed", 3: "floating-point", 5: "complex", 6: "complex"}
_ZERO_IS_WHITE, _ZERO_IS_BLACK, _RGB = 0, 1, 2


def _header(data: Bytes) -> Header:
    tags = read_directory(data)
    if _WIDTH not in tags.values or _HEIGHT not in tags.values:
        raise damaged("no image size")
    bits = tags.first(_BITS, 1)
    _check_samples(tags, bits)
    orientation = tags.first(ORIENTATION, 1)
    return Header(
        "TIFF",
        tags.first(_WIDTH, 0),
        tags.first(_HEIGHT, 0),
        bits=bits,
        orientation=orientation if 1 <= orientation <= 8 else 1,
        inverted=bits == 16 and tags.first(_PHOTOMETRIC, _ZERO_IS_BLACK) == _ZERO_IS_WHITE,
        blank=_alpha_tag(tags),
    )


def _check_samples(tags: Directory, bits: int) -> None:
    """Refuse kinds of sample that have no one meaning as 8-bit RGB, or that decode to something else."""
    kind = _KINDS.get(tags.first(_SAMPLE_FORMAT, 1))
    if kind:
        raise unsupported(f"a TIFF of {bits}-bit {kind} samples")
    if bits not in (1, 8, 16) or len(set(tags.values.get(_BITS, (1,)))) > 1:
        raise unsupported(f"a TIFF of {bits} bits a sample")
    if bits == 16 and tags.first(_PHOTOMETRIC, _ZERO_IS_BLACK) not in (_ZERO_IS_WHITE, _ZERO_IS_BLACK, _RGB):
        raise unsupported("a 16-bit TIFF that is neither grey nor RGB")
    if bits == 16 and tags.first(_PLANES, 1) != 1:
        raise unsupported("a 16-bit TIFF with its colours in separate planes")


def _alpha_tag(tags: Directory) -> tuple[int, int] | None:
    if tags.first(_EXTRA_SAMPLES, 0) != _UNASSOCIATED:
        return None
    return tags.places[_EXTRA_SAMPLES], tags.places[_EXTRA_SAMPLES] + 2


def _verify(data: bytes, header: Header) -> Header:
    tags = read_directory(data)
    for offset_tag, count_tag in _PIECES:
        offsets = tags.values.get(offset_tag)
        if offsets:
            counts = tags.values.get(count_tag, (1,) * len(offsets))
            _check_pieces(offsets, counts, len(data))
            return header
    raise damaged("no image data")


def _check_pieces(offsets: tuple[int, ...], counts: tuple[int, ...], length: int) -> None:
    if len(offsets) != len(counts) or 0 in offsets or 0 in counts:
        raise damaged("a part of the image was never written")
    end = max(offset + count for offset, count in zip(offsets, counts, strict=True))
    if end > length:
        raise cut_short(f"{length:,} of {end:,} bytes")


def _matches(start: bytes) -> bool:
    return start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


FORMAT = Format("TIFF", _matches, _header, _verify, decoder_turns=True)
