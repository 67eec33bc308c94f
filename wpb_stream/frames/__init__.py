"""File IO, synchronous: StreamResource and index to arrays. The only place that imports h5py."""
