package wraphttp

import "github.com/poolgauge/poolgauge/instrument"

// Stats is what a collection calls.
func (l *LimitedListener) Stats() instrument.Stats { return l.stats() }
