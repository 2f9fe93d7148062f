"""What every command needs and no format knows."""
