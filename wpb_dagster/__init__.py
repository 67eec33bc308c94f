"""Every scan an asset in Dagster: documents, frames, values, maps, picture and file, checked against what was shown live."""
