"""What runs inside other programs' environments; it imports nothing of neuropress, so each file may be copied alone."""
