"""The commands of data_prep, one module each, in the form that `ssd_common.command` describes."""
