"""Tests of ssd_common: what every command needs."""
