"""Softcopy presentation states applied to their images (PS3.3 §A.33, PS3.4 Annex N). Pure.

`reading` says which images a state is for; `grey` and `shown` turn it into what the pixel pipeline is told for one
frame: attributes that take the place of the image's own, and a `Presentation`, plain values that `painting` puts on a
picture.
"""
