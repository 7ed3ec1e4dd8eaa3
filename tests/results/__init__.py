"""The paper's suites, run as far as time allows, and the pages of docs/results that say what they found."""
