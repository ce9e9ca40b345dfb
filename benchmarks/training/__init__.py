"""What training with the numbers of the chip brings, and how long it takes."""
