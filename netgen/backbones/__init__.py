"""Backbones: image blob → named feature maps."""
