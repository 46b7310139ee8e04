package ledger

import "github.com/poolgauge/poolgauge/instrument"

// Tasks counts and times the uses of a pool that are calls of functions in goroutines that the wrapper sees, and so also splits a
// sample of their time into what it was on a CPU, ready, and blocked. It has no lock: whoever owns it guards it.
type Tasks struct {
	Uses
	cpu instrument.CPUSampler
}

// Task is a task in progress. The goroutine that runs it calls CPU.Begin before it and CPU.End after it, whatever happens, and holds no
// lock meanwhile.
type Task struct {
	CPU *instrument.CPUSample // most often nil, which does nothing
	use Use
}

// NewTasks returns the ledger of a pool that was given opts.
func NewTasks(opts ...instrument.Option) Tasks {
	return Tasks{Uses: NewUses(opts...), cpu: instrument.NewCPUSampler(opts...)}
}

// Begin begins a task. Those that are not timed are not split either; which those are is left to chance.
func (t *Tasks) Begin() Task {
	task := Task{use: t.Uses.Begin()}
	if task.use.weight > 0 {
		task.CPU = t.cpu.Next(task.use.start, t.acquired)
	}
	return task
}

// End ends a task that Begin began.
func (t *Tasks) End(task Task, how instrument.Ending) {
	t.Uses.End(task.use, how)
	t.cpu.Add(task.CPU)
}

// Report writes tasks in progress and ended into s, as [Uses.Report] does.
func (t *Tasks) Report(s *instrument.Stats, endings ...instrument.Ending) {
	t.Uses.Report(s, endings...)
	s.CPUTime = t.cpu.Time()
}
