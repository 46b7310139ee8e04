package instrument

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// String describes the pool for humans, on one line or on one line per part, such as
//
//	3 of 8 used, 2 idle; 1 pending for 1.2s; 120 acquired, 3 timeout; median wait 4ms, max 1.3s; 117 ok
//
// Holders are listed at the end, oldest first. Absent values are omitted. The wording may change,
// so programs should read the fields instead.
func (s Stats) String() string {
	if len(s.Parts) > 0 {
		lines := make([]string, len(s.Parts))
		for i, part := range s.Parts {
			var name []string
			for _, a := range part.Attributes {
				name = append(name, a.Value.String())
			}
			lines[i] = strings.Join(name, " ") + ": " + part.Stats.String()
		}
		return strings.Join(lines, "\n")
	}
	var clauses []string
	for _, list := range [][]string{
		s.slots(), s.waiting(),
		outcomes(s.Requests[:], func(i int) string { return Outcome(i).String() }), s.waited(),
		outcomes(s.Completed[:], func(i int) string { return Ending(i).String() }), durations("use", s.Use),
		s.resources(), s.held(),
	} {
		if len(list) > 0 {
			clauses = append(clauses, strings.Join(list, ", "))
		}
	}
	if len(clauses) == 0 {
		return "no data"
	}
	return strings.Join(clauses, "; ")
}

func (s *Stats) slots() (list []string) {
	limit, limited := s.Limit.Get()
	for i, o := range s.Usage {
		n, ok := o.Get()
		switch {
		case !ok || (n == 0 && State(i) != Used):
		case State(i) == Used && limited:
			list = append(list, fmt.Sprintf("%d of %d used", n, limit))
		default:
			list = append(list, fmt.Sprintf("%d %v", n, State(i)))
		}
	}
	if _, ok := s.Usage[Used].Get(); !ok && limited {
		list = append(list, fmt.Sprintf("limit %d", limit))
	}
	return list
}

// brief describes only the slots and the waiting requests.
func (s *Stats) brief() string {
	return strings.Join(append(s.slots(), s.waiting()...), ", ")
}

func (s *Stats) held() (list []string) {
	if age, ok := s.UseAge.Get(); ok && len(s.Holders) == 0 {
		return []string{"oldest use " + rounded(age)}
	}
	for _, h := range s.Holders {
		list = append(list, "held for "+h.String())
	}
	return list
}

func (s *Stats) waiting() (list []string) {
	n, ok := s.Pending.Get()
	if !ok {
		return nil
	}
	text := fmt.Sprintf("%d pending", n)
	if limit, ok := s.PendingLimit.Get(); ok {
		text = fmt.Sprintf("%d of %d pending", n, limit)
	}
	if age, ok := s.PendingAge.Get(); ok {
		text += " for " + rounded(age)
	}
	return []string{text}
}

func (s *Stats) waited() (list []string) {
	all := new(Histogram)
	for _, h := range s.Wait {
		all.Merge(h)
	}
	list = durations("wait", all)
	if n, ok := s.Waits.Get(); ok {
		list = append(list, fmt.Sprintf("%d waits", n))
	}
	if seconds, ok := s.WaitTime.Get(); ok {
		list = append(list, rounded(time.Duration(seconds*float64(time.Second)))+" in total")
	}
	if len(s.Exemplars) > 0 {
		longest := slices.MaxFunc(s.Exemplars, func(a, b Exemplar) int { return cmp.Compare(a.Wait, b.Wait) })
		list = append(list, fmt.Sprintf("%s in trace %v", rounded(longest.Wait), longest.Trace))
	}
	return list
}

func (s *Stats) resources() (list []string) {
	for _, r := range s.Resources {
		if r.Count == 0 {
			continue
		}
		text := fmt.Sprintf("%d %s", r.Count, strings.ReplaceAll(r.Event.String(), "_", " "))
		if r.Reason != "" {
			text += " (" + strings.ReplaceAll(r.Reason, "_", " ") + ")"
		}
		list = append(list, text)
	}
	return list
}

// outcomes formats the counts above 0. It includes the first count even if that is 0.
func outcomes(counts []Optional[int64], name func(i int) string) (list []string) {
	for i, o := range counts {
		if n, ok := o.Get(); ok && (n > 0 || i == 0) {
			list = append(list, fmt.Sprintf("%d %s", n, name(i)))
		}
	}
	return list
}

func durations(what string, h *Histogram) []string {
	if h == nil || h.count == 0 {
		return nil
	}
	return []string{fmt.Sprintf("median %s %s, max %s", what, rounded(h.Quantile(0.5)), rounded(h.Max()))}
}

// rounded formats a duration with about three digits.
func rounded(d time.Duration) string {
	unit := time.Duration(1)
	for unit < time.Hour && d >= 1000*unit {
		unit *= 10
	}
	return d.Round(unit).String()
}
