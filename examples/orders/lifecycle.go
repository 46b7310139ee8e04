package main

import (
	"context"
	"errors"
)

// lifecycle stops the parts of a program in the reverse order of their start. err joins the errors
// of the parts that failed to start.
type lifecycle struct {
	err   error
	stops []func(context.Context) error
}

// add registers the stop function of a part that was started, unless it failed to start with err.
func (l *lifecycle) add(stop func(context.Context) error, err error) {
	if err != nil {
		l.err = errors.Join(l.err, err)
		return
	}
	l.stops = append(l.stops, stop)
}

// addCloser is [lifecycle.add] for a part that is stopped by Close.
func (l *lifecycle) addCloser(c interface{ Close() }, err error) {
	l.add(func(context.Context) error { c.Close(); return nil }, err)
}

// stop stops all parts, the last one first. They share the deadline of ctx.
func (l *lifecycle) stop(ctx context.Context) error {
	var errs []error
	for i := len(l.stops) - 1; i >= 0; i-- {
		errs = append(errs, l.stops[i](ctx))
	}
	l.stops = nil
	return errors.Join(errs...)
}
