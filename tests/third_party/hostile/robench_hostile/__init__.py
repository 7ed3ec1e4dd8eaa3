"""Plugins that hang, leave, lie about themselves and talk."""
