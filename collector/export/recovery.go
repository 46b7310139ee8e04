package export

import "sync"

// recovery wakes all of an upstream's lanes that are waiting to retry, as soon as the upstream
// accepts requests of one lane again. There is then no reason to wait longer, whether the wait is a
// backoff or was requested by the upstream. recovery is safe for concurrent use.
type recovery struct {
	mu   sync.Mutex
	next chan struct{} // closed and replaced by announce
}

func newRecovery() *recovery { return &recovery{next: make(chan struct{})} }

// announced returns a channel that is closed by the next call to announce.
func (r *recovery) announced() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.next
}

// announce wakes every waiting lane.
func (r *recovery) announce() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.next)
	r.next = make(chan struct{})
}
