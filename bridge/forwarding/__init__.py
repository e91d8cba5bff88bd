"""Sending finished studies on: change feed -> orders by rule -> instances to peers and DICOMweb servers.

`rules` says what goes where, `routing` makes orders of the feed, `delivery` carries them out through a door's Courier.
"""
