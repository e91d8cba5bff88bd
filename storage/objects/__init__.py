"""Object stores: bytes by key, one backend a file."""
