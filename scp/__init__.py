"""The DIMSE door: associations in, DIMSE services answered (PS3.7, PS3.8). The only importer of pynetdicom."""
