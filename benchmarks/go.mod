module github.com/poolgauge/poolgauge/benchmarks

go 1.26.0

replace github.com/poolgauge/poolgauge => ../

require golang.org/x/sync v0.24.0
