package wrappuddle

// StatsOf exposes statsOf, which collections use, to tests.
var StatsOf = statsOf
