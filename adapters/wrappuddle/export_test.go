package wrappuddle

// StatsOf is what a collection calls.
var StatsOf = statsOf
