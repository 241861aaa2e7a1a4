"""What Kurant is compared with: the least code that does the outward same, each a process of its own."""
