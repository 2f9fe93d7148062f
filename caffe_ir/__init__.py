"""What a prototxt means, whoever wrote or runs it: schema, text and bytes, upgrades, phases, shapes."""
