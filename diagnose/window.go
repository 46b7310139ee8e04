package diagnose

import "math"

// Window is what a pool did between two moments. What is not known is NaN.
type Window struct {
	Seconds     float64 // its length
	Limit       float64 // slots; NaN if the limit changed
	Utilization float64 // mean share of the slots that were used
	HeldBack    float64 // mean share of the slots that were free while requests waited
	Pending     float64 // requests that waited at its end
	Grown       float64 // by how many they grew; 0 if that is not known
	Served      float64 // requests that got a slot, a second
	Refused     float64 // share of the requests that got none
	Wait        float64 // mean wait in seconds of those that got one
	Ended       float64 // uses that ended
	Failed      float64 // share of them
	NotMade     float64 // resources that could not be made
	Use         float64 // mean duration in seconds of uses that ended
	Longest     float64 // use that ever ended, in seconds
	Held        float64 // slots whose uses did not end: used, less what ended uses explain
	UseAge      float64 // seconds that the oldest use had lasted at its end
	OnCPU       float64 // shares of the use time
	RunQueue    float64
	Blocked     float64
}

// Between returns the window from one moment to a later one. A pool whose counters fell is a new
// one, of which nothing is known yet.
func Between(from, to Figures) Window {
	w := Window{Seconds: to.At.Sub(from.At).Seconds(), Limit: to.Limit, Pending: to.Pending}
	w.Longest, w.UseAge = to.Longest, to.UseAge
	if !(w.Seconds > 0) || to.UseTime < from.UseTime || to.Served < from.Served {
		return Window{Seconds: math.NaN(), Limit: math.NaN()}
	}
	if grown := to.Pending - from.Pending; !math.IsNaN(grown) {
		w.Grown = grown
	}
	if from.Limit != to.Limit {
		w.Limit = math.NaN()
	}
	used := to.UseTime - from.UseTime
	served, refused := to.Served-from.Served, to.Refused-from.Refused
	w.Utilization = used / (w.Limit * w.Seconds)
	w.HeldBack = (to.HeldBack - from.HeldBack) / (w.Limit * w.Seconds)
	w.Served = served / w.Seconds
	w.Refused = share(refused, served+refused)
	w.Wait = share(to.WaitTime-from.WaitTime, served)
	w.Ended = to.Ended - from.Ended
	w.Failed = share(to.Failed-from.Failed, w.Ended)
	w.NotMade = to.NotMade - from.NotMade
	w.Use = (to.EndedTime - from.EndedTime) / w.Ended
	w.Held = (used - (to.EndedTime - from.EndedTime)) / w.Seconds
	onCPU, queued, blocked := to.OnCPU-from.OnCPU, to.RunQueue-from.RunQueue, to.Blocked-from.Blocked
	split := onCPU + queued + blocked
	w.OnCPU, w.RunQueue, w.Blocked = onCPU/split, queued/split, blocked/split
	return w
}

// share returns part of whole, 0 of nothing.
func share(part, whole float64) float64 {
	if whole == 0 {
		return 0
	}
	return part / whole
}
