"""netgen's commands: one module each, in the form that `ssd_common.command` describes."""
