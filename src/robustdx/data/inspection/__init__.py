"""What is wrong with a data set: `robustdx inspect`.

fingerprint (one reading of every image) -> duplicates (exact; near: lookalikes proposes, alignment proves, both on contrast)
and oddities -> inspect -> findings (words and JSON).
"""
