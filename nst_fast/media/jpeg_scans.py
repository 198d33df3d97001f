"""How many times a JPEG file makes its decoder go over the whole picture."""

import re
from typing import BinaryIO

# A marker is FF and a byte that is neither 00 (a literal FF in compressed data) nor FF (padding); D0 to D7 restart the
# decoder within a scan.
_MARKER = re.compile(rb"\xff+([^\xff\x00\xd0-\xd7])")
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_WITHOUT_LENGTH = {0x01, 0xD8}
_FRAME_HEADERS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_SEQUENTIAL = {0xC0, 0xC1}


def count_scans(file: BinaryIO) -> int:
    """Count the scans of a JPEG as its decoder finds them (ITU-T T.81, B.2).

    Each scan of a progressive file refines all pixels, and takes as few as 31 bytes: a file of 72 kB can keep a
    decoder busy for seconds, one of 40 MB for hours. Usual files have up to 15.

    Args:
        file: at any position, where it is left.

    Returns:
        1 for a file whose first scan holds the whole picture, without reading further.
    """
    before = file.tell()
    file.seek(0)
    data = file.read()
    file.seek(before)
    scans = components = 0
    sequential = False
    position = 2
    while (match := _MARKER.search(data, position)) is not None:
        marker, position = match[1][0], match.end()
        if marker == _END_OF_IMAGE:
            break
        if marker in _WITHOUT_LENGTH:
            continue
        body = data[position + 2 : position + 8]
        if marker in _FRAME_HEADERS and len(body) == 6:
            sequential, components = marker in _SEQUENTIAL, body[5]
        elif marker == _START_OF_SCAN:
            scans += 1
            if sequential and body and body[0] >= components:
                break
        position += max(2, int.from_bytes(data[position : position + 2], "big"))
    return scans
