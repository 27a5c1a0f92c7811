"""TIFF 6.0 and BigTIFF: the first page, when its samples are unsigned and of 1, 8 or 16 bits.

Known of the decoder behind OpenCV, and set right here (all versions from 4.9 to 5.0 agree):

- it applies the orientation tag by itself, whatever the flags;
- it multiplies 8-bit colours by an unassociated alpha: the tag that says so is blanked for it;
- it leaves 16-bit "zero is white" as it is: the reader inverts;
- of CMYK it gives red, green, blue and an alpha of 255 that is no channel of the file: the reader drops it;
- 8-bit CIELab comes out yellowish (white as 255, 252, 222): refused, as are colours that it does not decode at all;
- 16-bit samples in separate planes come out scrambled, and so do 16-bit grey ones of three samples a pixel or more;
  other kinds of sample as noise: refused (16-bit grey with alpha is decoded to 8 bits).
"""

from __future__ import annotations

from collections.abc import Iterable

from kizu.images.formats._base import Bytes, Format, Header, cut_short, damaged, unsupported
from kizu.images.formats._ifd import ORIENTATION, Directory, read_directory

_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _PLANES = 256, 257, 258, 262, 284
_SAMPLES, _EXTRA_SAMPLES, _SAMPLE_FORMAT = 277, 338, 339
_PIECES = ((273, 279), (324, 325))  # offsets and byte counts: of strips, of tiles
_ALIKE = (_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _SAMPLES, _PLANES, _SAMPLE_FORMAT, ORIENTATION)
_UNASSOCIATED = 2
_KINDS = {2: "signed", 3: "floating-point", 5: "complex", 6: "complex"}
_ZERO_IS_WHITE, _ZERO_IS_BLACK, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_DECODED = (_ZERO_IS_WHITE, _ZERO_IS_BLACK, _RGB, _PALETTE, _CMYK, _YCBCR)
_OTHERS = {4: "a transparency mask", 8: "CIELab colours", 9: "ICC Lab colours", 10: "ITU Lab colours"}


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
        opaque=tags.first(_PHOTOMETRIC, _ZERO_IS_BLACK) == _CMYK,
        more_pages=tags.following != 0,
    )


def _check_samples(tags: Directory, bits: int) -> None:
    """Refuse kinds of sample that have no one meaning as 8-bit RGB, or that decode to something else."""
    kind = _KINDS.get(tags.first(_SAMPLE_FORMAT, 1))
    if kind:
        raise unsupported(f"a TIFF of {bits}-bit {kind} samples")
    if bits not in (1, 8, 16) or len(set(tags.values.get(_BITS, (1,)))) > 1:
        raise unsupported(f"a TIFF of {bits} bits a sample")
    photometric = tags.first(_PHOTOMETRIC, _ZERO_IS_BLACK)
    if bits == 16 and photometric not in (_ZERO_IS_WHITE, _ZERO_IS_BLACK, _RGB):
        raise unsupported("a 16-bit TIFF that is neither grey nor RGB")
    if photometric not in _DECODED:
        raise unsupported(f"a TIFF of {_OTHERS.get(photometric, f'photometric interpretation {photometric}')}")
    if bits == 16 and tags.first(_PLANES, 1) != 1:
        raise unsupported("a 16-bit TIFF with its colours in separate planes")
    if bits == 16 and photometric != _RGB and tags.first(_SAMPLES, 1) > 2:
        raise unsupported("a 16-bit grey TIFF of three samples a pixel or more", "save_channels_as_pages")


def _alpha_tag(tags: Directory) -> tuple[int, int] | None:
    if tags.first(_EXTRA_SAMPLES, 0) != _UNASSOCIATED:
        return None
    return tags.places[_EXTRA_SAMPLES], tags.places[_EXTRA_SAMPLES] + 2


def _verify(data: bytes, header: Header) -> Header:
    _verify_page(data, read_directory(data))
    return header


def check_pages(data: bytes, numbers: Iterable[int]) -> int:
    """How many pages a file has. Raises `UnusableError` where one of those ``numbers`` is cut short, or not of the
    size and the kind of samples of the first.
    """
    pages = _pages(data)
    for number in sorted(set(numbers) & set(range(len(pages)))):
        if any(pages[number].first(tag, 1) != pages[0].first(tag, 1) for tag in _ALIKE):
            raise unsupported(f"page {number}, of another size or kind than the first,", "save_pages_alike")
        if number and pages[number].first(_EXTRA_SAMPLES, 0) == _UNASSOCIATED:  # the first page's tag is blanked
            raise unsupported(
                f"page {number}, whose colours the decoder multiplies by alpha,", "save_channels_as_pages"
            )
        _verify_page(data, pages[number])
    return len(pages)


def _pages(data: bytes) -> list[Directory]:
    pages, seen = [read_directory(data)], {0}
    while pages[-1].following not in seen:
        seen.add(pages[-1].following)
        pages.append(read_directory(data, at=pages[-1].following))
    return pages


def _verify_page(data: bytes, tags: Directory) -> None:
    for offset_tag, count_tag in _PIECES:
        offsets = tags.values.get(offset_tag)
        if offsets:
            counts = tags.values.get(count_tag, (1,) * len(offsets))
            _check_pieces(offsets, counts, len(data))
            return
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
