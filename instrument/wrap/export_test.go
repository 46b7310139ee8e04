package wrap

// StopTimer stops the timer of a rush, and reports whether it ran.
func (s *Weighted) StopTimer() bool {
	s.permits.mu.Lock()
	defer s.permits.mu.Unlock()
	return s.permits.time.Stop()
}
