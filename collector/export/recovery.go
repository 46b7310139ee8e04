package export

import "sync"

// recovery wakes the lanes of one upstream that wait to retry as soon as one of them is accepted
// again, so that none waits out a backoff, or a time that the upstream asked for, that has become
// pointless. It is safe for concurrent use.
type recovery struct {
	mu   sync.Mutex
	next chan struct{} // closed and replaced by announce
}

func newRecovery() *recovery { return &recovery{next: make(chan struct{})} }

// awaited returns a channel that the next call of announce closes.
func (r *recovery) awaited() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.next
}

// announce wakes every lane that waits.
func (r *recovery) announce() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.next)
	r.next = make(chan struct{})
}
