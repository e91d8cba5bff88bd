"""JSON answers in the content coding that the client prefers (RFC 9110 §12.5.3). Images are never compressed again."""

from __future__ import annotations

import zlib

import zstandard

from dicomweb.deps import Call
from dicomweb.grammar import parse_tokens
from dicomweb.reply import Header, Reply, whole

SMALLEST_BYTES = 1024  # below this a coding costs more than it saves
CODINGS = ("zstd", "gzip")  # in the order of our preference
_ZSTD_LEVEL, _GZIP_LEVEL = 3, 1


def coding_for(accept_encoding: str) -> str:
    """The coding to use, "" for none."""
    if not accept_encoding:
        return ""
    wanted = dict(parse_tokens(accept_encoding))
    quality = {coding: wanted.get(coding, wanted.get("*", 0)) for coding in CODINGS}
    best = max(CODINGS, key=lambda coding: quality[coding])
    return best if quality[best] > 0 and quality[best] >= wanted.get("identity", 0) else ""


def encode(body: bytes, coding: str) -> bytes:
    """The body in a coding of CODINGS."""
    if coding == "zstd":
        return zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(body)
    packer = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, 31)
    return packer.compress(body) + packer.flush()


def compressed(call: Call, content_type: str, body: bytes, headers: list[Header]) -> Reply:
    """A whole answer, compressed where the client asks for it and it is worth it."""
    coding = coding_for(call.headers.get("accept-encoding", "")) if len(body) >= SMALLEST_BYTES else ""
    if coding:
        body = encode(body, coding)
        headers = [*headers, (b"content-encoding", coding.encode())]
    return whole(200, content_type, body, headers)
