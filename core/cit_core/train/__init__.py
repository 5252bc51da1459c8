"""Learn: outcomes in, a trained and exported network out.

`data` reads outcome tables and splits them, without torch; `trainer`, `export` and `release` need the `train` extra.
"""
