"""What a fit of PaDiM takes of memory, known before anything is computed."""

from __future__ import annotations

from kizu.errors import ParameterError
from kizu.gaussian import RunningGaussian
from kizu.memory import available, size_text

SCRATCH = 100_000_000
"""Bytes that a fit takes beside its sums and the images it holds: matrices being worked on, images on their way."""

BATCH_IMAGES = 16
"""Images added to the sums at a time: a pass over the sums, P·D²/2 of them, is paid once a batch."""

SHARE = 4
"""One image for so many dimensions is held while images are left out: factoring a covariance, D³/3 of work, then
costs about as much as the D² for each image.
"""

SMALL = 32_000_000
"""Bytes of images held then at least, if there are as many."""

ROBUST = 2
"""Times that a robust fit holds the chosen channels of all images, at most."""


def left_out_at_a_time(positions: int, dimensions: int) -> int:
    """Images whose chosen channels are held while each is left out: covariances are factored once for all of them."""
    return max(1, dimensions // SHARE, SMALL // _image(positions, dimensions))


def room_to_leave_out(memory: int, images: int, positions: int, dimensions: int, *, robust: bool) -> bool:
    """Whether a fit within ``memory`` bytes may leave each of ``images`` out, of ``positions`` patches of
    ``dimensions`` channels each. Raises `ParameterError` where it may not even be fitted.
    """
    image, sums = _image(positions, dimensions), SCRATCH + RunningGaussian.memory(positions, dimensions)
    sums += ROBUST * images * image if robust else 0
    least = sums + min(images, BATCH_IMAGES) * image
    if memory < least:
        what = f"covariances of {dimensions} dimensions at each of {positions:,} positions"
        what += ", and all patches, as `robust` wants them," if robust else ""
        raise ParameterError(
            f"`memory` must be {size_text(least - memory)} larger: {what} take {size_text(least)}, and "
            f"{size_text(max(memory, 0))} are left for them. Or lower detector.reduced_dims or image_size."
        )
    held = min(images, max(BATCH_IMAGES, left_out_at_a_time(positions, dimensions)))
    return memory >= sums + held * image + 8 * images * positions  # scores, and as many put together


def require_free(positions: int, dimensions: int, *, leave_one_out: bool) -> None:
    """Raises `ParameterError` where this machine has not the memory for the sums."""
    needed, free = RunningGaussian.memory(positions, dimensions), available()
    needed += left_out_at_a_time(positions, dimensions) * _image(positions, dimensions) if leave_one_out else 0
    if free is not None and needed > free:
        raise ParameterError(
            f"PaDiM keeps a covariance of {dimensions} dimensions at each of {positions} positions, which takes "
            f"{needed / 1e9:.1f} GB; {free / 1e9:.1f} GB are free. Lower detector.reduced_dims or image_size, "
            "or set patch_stride=8."
        )


def _image(positions: int, dimensions: int) -> int:
    """Bytes of an image's chosen channels, float32."""
    return 4 * positions * dimensions
