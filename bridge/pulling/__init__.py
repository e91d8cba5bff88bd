"""Taking over what another archive holds: which studies, which instances are missing here, until nothing is.

The doors speak with the other archive (`scp.pull`, `dicomweb.pull`); what is asked, in which order and how often, is
decided here. Nothing is remembered between two runs but the archive itself: what it has is not asked for again.
"""
