package export

import "sync"

// recovery wakes the lanes of one upstream that are waiting to retry as soon as the data of one of
// them is accepted again. Their remaining wait, whether a backoff or requested by the upstream, has
// become pointless. It is safe for concurrent use.
type recovery struct {
	mu   sync.Mutex
	next chan struct{} // closed and replaced by announce
}

func newRecovery() *recovery { return &recovery{next: make(chan struct{})} }

// awaited returns a channel that is closed by the next call to announce.
func (r *recovery) awaited() <-chan struct{} {
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
