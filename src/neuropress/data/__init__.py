"""What belongs to labs and consortia, data only: profiles, and links to ``mappings/`` and ``schemas/``."""
