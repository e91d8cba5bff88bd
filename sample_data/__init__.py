"""Made-up studies for demonstrations and tests: drawn with numpy, seeded, no real patient behind any of them."""
