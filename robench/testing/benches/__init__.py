"""What plugins are put on to be checked: one bench for each kind."""
