"""Stored samples -> a picture of 8 bits a channel (PS3.4 §N.2, PS3.18 §8.7.4). Pure: bytes and attributes in."""
