"""Tables, figures and pages from recorded results; `python -m` makes them."""
