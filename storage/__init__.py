"""The vault: bytes by key (`storage.objects`), rows by UID (`storage.index`). Knows no DIMSE, no HTTP, no policy."""
