"""Measures: pure functions from plain lists to plain numbers; where a library that one needs is missing, it says so."""
