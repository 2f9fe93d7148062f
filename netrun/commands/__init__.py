"""netrun's commands, a module each in the form that `ssd_common.command` describes."""
