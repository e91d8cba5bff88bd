"""`python -m bench`: every bench against the rival, one after the other, and the table at the end."""

import subprocess
import sys

from bench import report

for module in ("cstore", "stow", "dicomweb", "viewer", "dimse", "memory"):
    subprocess.run([sys.executable, "-m", f"bench.{module}", "--start", "--data", module, *sys.argv[1:]], check=True)
sys.argv[1:] = []
sys.exit(report.main())
