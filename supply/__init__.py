"""What we are made of: the packages that the locks pin, what is known against them, and the bill of materials."""
