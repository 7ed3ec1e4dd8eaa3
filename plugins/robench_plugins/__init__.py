"""The built-in plugins. They import ``robench.api`` only, as a third party would."""
