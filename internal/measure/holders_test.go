package measure

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// The oldest uses are found, oldest first, in whatever order uses are added. Uses that are not
// measured are ignored.
func TestOldest(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 40 {
		const now = time.Hour
		var o Oldest[time.Duration]
		var all []time.Duration
		for _, i := range r.Perm(n) {
			at := time.Duration(i+1) * time.Second
			o.Add(Span{at: at}, at)
			o.Add(Span{}, 0)
			all = append(all, now-at)
		}
		slices.SortFunc(all, func(a, b time.Duration) int { return int(b - a) })
		s := instrument.Stats{Pending: instrument.Some(int64(1))}
		var got []time.Duration
		for _, h := range o.Report(&s, now, func(time.Duration) Hold { return Hold{} }).Name() {
			got = append(got, h.Age)
		}
		if want := all[:min(n, maxHolders)]; !slices.Equal(got, want) || n > 0 && s.UseAge.Or(0) != want[0] {
			t.Errorf("%d uses: got ages %v and UseAge %v, want ages %v", n, got, s.UseAge, want)
		}
	}
}
