"""Stored samples -> a picture of 8 bits a channel (PS3.4 §N.2, PS3.18 §8.7.4). Pure: bytes and attributes in."""

EDITION = "1"  # changes when the same frame comes out differently, so that kept pictures are made again
