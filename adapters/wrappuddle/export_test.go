package wrappuddle

// StatsOf is the conversion that a collection uses.
var StatsOf = statsOf
