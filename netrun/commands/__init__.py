"""The commands of `netrun`: each module has `add_flags(parser)` and `run(args) -> exit status`."""
