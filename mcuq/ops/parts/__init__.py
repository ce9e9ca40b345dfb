"""What operators share: forms of numbers, weights, windows, layouts, exact sums."""
