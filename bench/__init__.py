"""Benches: our server and a rival, fed by the same senders, read by the same client, in rounds of one run."""
