"""Summaries as terminal tables, JSON, CSV and Markdown."""
