"""Learn: outcomes in, a trained and exported network out.

`data` reads outcome tables and splits them, without torch; everything else needs the `train` extra. `mini` is made by
`trainer`, `export` and `release`; the paper's network, around any encoder and language model, by `run`.
"""
