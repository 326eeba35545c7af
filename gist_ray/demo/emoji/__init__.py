"""Emoji of several vendors with their official names: a set of real pictures from packages."""
