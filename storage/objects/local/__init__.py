"""Objects as files: `<directory>/objects/<key>`, what they carry in one extended attribute.

store.py is the backend: its verbs in order. A put walks through filling.py (a new file with the bytes; early.py and
direct.py are its faster ways), attribute.py (what the object carries), naming.py (the key) and durable.py (the power
cut). reading.py and walking.py are the ways out, leftovers.py clears what a crash left.
"""

from __future__ import annotations

from storage.objects.local.store import LocalStore

__all__ = ["LocalStore"]
