"""Kills, crowds, floods and falsifies: whether anything is lost. ``make stress`` runs all of it."""
