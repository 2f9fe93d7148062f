"""What every command needs: errors, arguments, files, tables, pictures. It knows no format."""
