"""Charts of a run as Vega-Lite specifications, for the page and for files."""
