"""One module a command of `data_prep`: HELP, EPILOG, add_flags(parser), run(args)."""
