package diagnose

import (
	"math"
	"time"
)

// Judge judges one pool again and again. A verdict holds once two of three windows agree on it, and until
// three windows in a row do not; a window in which the cause is undetermined does not count against it.
// The zero Judge has seen nothing. It is not safe for concurrent use.
type Judge struct {
	last    Figures
	usual   Usual
	recent  [3]Verdict
	quiet   uint8 // windows that usual was learned from, learned at most
	against uint8 // windows in a row that say something else than holds
	holds   Finding[Verdict]
}

const (
	learned = 3   // windows after which Usual is known
	recall  = 0.2 // weight of a new window in Usual
)

// See takes what a pool reports now, and what is known of the machine since the last call. It returns the
// verdict that holds, and what this window alone says.
func (j *Judge) See(f Figures, m Machine) (holds, window Finding[Verdict]) {
	if j.last.At.IsZero() {
		j.last = f
		j.usual = Usual{math.NaN(), math.NaN()}
		j.holds = found(Undetermined, "the pool was seen only once")
		return j.holds, j.holds
	}
	w := Between(j.last, f)
	j.last = f
	window = Pool(w, m, j.known())
	j.learn(w, window.Verdict)
	j.weigh(window)
	return j.holds, window
}

// Seen returns the time of the figures that were seen last, the zero Time before the first.
func (j *Judge) Seen() time.Time { return j.last.At }

// Holds returns the verdict that holds.
func (j *Judge) Holds() Finding[Verdict] { return j.holds }

// known returns what is usual, once enough has been seen.
func (j *Judge) known() Usual {
	if j.quiet < learned {
		return Usual{math.NaN(), math.NaN()}
	}
	return j.usual
}

// learn lets a window in which the pool was well say what is usual.
func (j *Judge) learn(w Window, v Verdict) {
	if v != OK && v != Oversized || w.Ended < enough {
		return
	}
	j.quiet = min(j.quiet+1, learned)
	j.usual.Use = blend(j.usual.Use, w.Use)
	j.usual.Blocked = blend(j.usual.Blocked, w.Blocked*w.Use)
}

// blend returns the exponentially weighted mean with one more value, if that is known.
func blend(mean, v float64) float64 {
	switch {
	case math.IsNaN(v):
		return mean
	case math.IsNaN(mean):
		return v
	}
	return mean + recall*(v-mean)
}

// weigh decides which verdict holds after a window.
func (j *Judge) weigh(window Finding[Verdict]) {
	j.recent[2], j.recent[1], j.recent[0] = j.recent[1], j.recent[0], window.Verdict
	switch v := window.Verdict; {
	case v == j.holds.Verdict:
		j.against, j.holds = 0, window
	case v == Undetermined && j.holds.Verdict.Convicts():
	case v == j.recent[1] || v == j.recent[2]:
		if j.against++; !j.holds.Verdict.Convicts() || v.Convicts() || j.against >= 3 {
			j.against, j.holds = 0, window
		}
	default:
		j.against++
	}
}
