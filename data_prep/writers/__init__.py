"""Writes LMDBs out again, as data sets that other tools read and edit."""
