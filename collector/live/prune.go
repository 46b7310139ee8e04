package live

import (
	"maps"
	"time"
)

const (
	// forgetAfter is how long a silent pool is kept. By then its history is empty.
	forgetAfter = 15 * time.Minute
	// replaceAfter is how long a silent pool is kept if there is no room for another, or if another
	// app of the same service has a pool with the same name and kind.
	replaceAfter = time.Minute
)

// prune forgets the pools, apps and series that have been silent for too long. Caller must hold mu.
func (l *Live) prune(now time.Time) {
	fresh := map[[3]string]bool{}
	for _, p := range l.pools {
		if now.Sub(p.seen) < replaceAfter {
			fresh[p.names()] = true
		}
	}
	for _, p := range l.pools {
		if silent := now.Sub(
			p.seen,
		); silent > forgetAfter ||
			silent > max(replaceAfter, p.silentAfter()) && fresh[p.names()] {
			l.forget(p)
		}
	}
	for key, a := range l.apps {
		if now.Sub(a.seen) > forgetAfter {
			l.forgetApp(key, a)
			continue
		}
		maps.DeleteFunc(a.series, func(_ uint64, s *series) bool {
			old := s.pool == nil && time.Duration(now.UnixNano()-s.at).Abs() > forgetAfter
			if old {
				l.uncount(s)
			}
			return old
		})
	}
}

func (p *pool) names() [3]string { return [3]string{p.app.service, p.name, p.kind} }

// hasRoom reports whether there is room for size more bytes. To make room, it forgets silent pools,
// but never keep. Caller must hold mu.
func (l *Live) hasRoom(size int64, keep *pool, now time.Time) bool {
	for size > 0 && l.used+size > l.cfg.Limit {
		if !l.makeRoom(keep, now) {
			return false
		}
	}
	return true
}

// makeRoom forgets the pool that has been silent the longest, but not keep. It returns false if no
// other pool has been silent for replaceAfter. Caller must hold mu.
func (l *Live) makeRoom(keep *pool, now time.Time) bool {
	if l.full == l.generation { // there was none earlier in this request
		return false
	}
	var oldest *pool
	for _, p := range l.pools {
		if p != keep && now.Sub(p.seen) > replaceAfter && (oldest == nil || p.seen.Before(oldest.seen)) {
			oldest = p
		}
	}
	if oldest == nil {
		l.full = l.generation
		return false
	}
	l.forget(oldest)
	return true
}

func (l *Live) forget(p *pool) {
	for _, s := range p.series {
		l.drop(p.app, s)
	}
	delete(l.pools, p.id)
	l.used -= p.size()
}

func (l *Live) drop(a *app, s *series) {
	delete(a.series, s.key)
	l.uncount(s)
}

// uncount subtracts the dropped series s from the totals.
func (l *Live) uncount(s *series) {
	l.used -= s.size()
	l.count--
}

func (l *Live) forgetApp(key uint64, a *app) {
	for _, s := range a.series {
		if s.pool != nil {
			l.forget(s.pool)
		} else {
			l.drop(a, s)
		}
	}
	delete(l.apps, key)
	l.used -= int64(len(a.resource)) + appSize
}
