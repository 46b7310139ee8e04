package main

import (
	"context"
	"errors"
)

// lifecycle stops the parts of a program in reverse order of their start. err joins the errors of
// parts that failed to start.
type lifecycle struct {
	err   error
	stops []func(context.Context) error
}

// add registers stop, which stops a part that was started. If err is not nil, the part failed to
// start, and add only records err.
func (l *lifecycle) add(stop func(context.Context) error, err error) {
	if err != nil {
		l.err = errors.Join(l.err, err)
		return
	}
	l.stops = append(l.stops, stop)
}

// addCloser is like [lifecycle.add], for a part that is stopped by its Close method.
func (l *lifecycle) addCloser(c interface{ Close() }, err error) {
	l.add(func(context.Context) error { c.Close(); return nil }, err)
}

// stop stops all parts in reverse order of their start. The parts share ctx's deadline.
func (l *lifecycle) stop(ctx context.Context) error {
	var errs []error
	for i := len(l.stops) - 1; i >= 0; i-- {
		errs = append(errs, l.stops[i](ctx))
	}
	l.stops = nil
	return errors.Join(errs...)
}
