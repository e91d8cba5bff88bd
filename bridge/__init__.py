"""The hall: every verb of the archive in DICOM words. Knows no DIMSE, no HTTP."""
