"""Electrocardiograms and other waveforms as drawings on paper: multiplex groups -> sheet -> picture (PS3.3 §C.10.9).

A `Sheet` is in millimetres and knows no pixels; `raster` paints it, `svg` writes it. The work is bounded by the limits
of `signals` and `sheet`, whatever the data set claims.
"""
