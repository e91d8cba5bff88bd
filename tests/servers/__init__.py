"""The real servers that tests talk to: installed once outside the clone, started on loopback, always stopped."""
