"""Makes a float network smaller: fewer channels, fewer or shared weights, and tuning after it."""
