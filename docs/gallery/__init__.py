"""The laboratory of the gallery: devices, what they see, and how it is drawn."""
