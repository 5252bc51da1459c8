"""Steps that bring a database to the tables of this release; `revisions.upgrade` runs them."""
