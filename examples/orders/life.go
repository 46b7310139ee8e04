package main

import (
	"context"
	"errors"
)

// life holds what was started, and stops it in the reverse order. It keeps the first error of a
// start.
type life struct {
	err   error
	stops []func(context.Context) error
}

// stopsWith takes over what stop stops, unless it failed to start.
func (l *life) stopsWith(stop func(context.Context) error, err error) {
	if err != nil {
		l.err = errors.Join(l.err, err)
		return
	}
	l.stops = append(l.stops, stop)
}

// closes takes over what Close ends.
func (l *life) closes(c interface{ Close() }, err error) {
	l.stopsWith(func(context.Context) error { c.Close(); return nil }, err)
}

// end stops everything; each stop has what is left of ctx.
func (l *life) end(ctx context.Context) error {
	var errs []error
	for i := len(l.stops) - 1; i >= 0; i-- {
		errs = append(errs, l.stops[i](ctx))
	}
	l.stops = nil
	return errors.Join(errs...)
}
