package diagnose

import "math"

// Window describes a pool between two measurements. Unknown values are NaN.
type Window struct {
	Seconds     float64 // length of the window
	Limit       float64 // slots; NaN if the limit changed
	Utilization float64 // mean share of the slots that were used
	HeldBack    float64 // mean share of the slots that were kept free while requests waited
	Pending     float64 // requests waiting at the end
	Grown       float64 // increase of Pending; 0 if unknown
	Served      float64 // requests per second that got a slot
	Refused     float64 // share of the requests that got no slot
	Wait        float64 // mean wait of the requests that got a slot, in seconds
	Ended       float64 // uses that ended
	Failed      float64 // share of the ended uses that failed
	NotMade     float64 // resources that could not be created
	Use         float64 // mean duration of ended uses, in seconds
	Longest     float64 // duration of the longest use that ever ended, in seconds
	Held        float64 // slots occupied by uses that did not end: slot-seconds per second, without those of ended uses
	UseAge      float64 // age of the oldest use at the end, in seconds
	OnCPU       float64 // OnCPU, RunQueue and Blocked are shares of the uses' time
	RunQueue    float64
	Blocked     float64
}

// Between returns the window between two measurements. If a counter decreased, the pool has been
// replaced by a new one, about which nothing is known yet, and Seconds and Limit are NaN.
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

// share returns part/whole, or 0 if whole is 0.
func share(part, whole float64) float64 {
	if whole == 0 {
		return 0
	}
	return part / whole
}
