package live

import (
	"cmp"
	"slices"
	"strings"
)

// Selection specifies which pools [Picture.Select] lists, and in which order. It lists only pools
// that match Filter.
type Selection struct {
	Filter string   // words, each of which must occur in the name, kind, service or level of a pool
	Sort   string   // a key of [Orders]; empty: worst first
	From   int      // number of pools to skip
	Limit  int      // number of pools to list; 0: all
	Keep   []string // IDs of pools to list first, in this order, even if there are more than Limit
	Also   string   // ID of a pool to list last, in addition to Limit, unless it is already listed
}

// Orders maps the values of [Selection.Sort], other than the empty one, to comparison functions.
var Orders = map[string]func(a, b *Pool) int{
	"name":   func(a, b *Pool) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) },
	"fill":   func(a, b *Pool) int { return cmp.Compare(b.Fill().Or(0), a.Fill().Or(0)) },
	"oldest": func(a, b *Pool) int { return cmp.Compare(b.OldestWait.Or(0), a.OldestWait.Or(0)) },
	"rate":   func(a, b *Pool) int { return cmp.Compare(b.Rate.Or(0), a.Rate.Or(0)) },
}

// List summarizes all pools of a picture, including those that are not listed.
type List struct {
	Pools   int   `json:"pools"`   // number of pools
	Trouble int   `json:"trouble"` // number of pools at this level, as for Warning and Silent
	Warning int   `json:"warning"`
	Silent  int   `json:"silent"`
	Worst   Worst `json:"worst,omitzero"` // absent: no pool is at the level Trouble or Warning

	Matching int `json:"matching"` // number of pools that match the filter
	From     int `json:"from"`     // number of matching pools that were skipped
}

// Worst identifies the worst pool and says what is wrong with it.
type Worst struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Level   Level  `json:"level"`
	Reason  string `json:"reason,omitempty"`
	Verdict string `json:"verdict,omitempty"`
}

// Select returns a copy of p with only the selected pools. If From is past the last page of Limit
// pools, Select lists the last page.
func (p *Picture) Select(s Selection) Picture {
	out := *p
	matching := p.matching(strings.Fields(strings.ToLower(s.Filter)))
	if order := Orders[s.Sort]; order != nil {
		slices.SortStableFunc(matching, order)
	}
	limit := max(1, len(matching))
	if s.Limit > 0 {
		limit = min(limit, s.Limit)
	}
	from := max(0, min(s.From, (len(matching)-1)/limit*limit))
	out.List.Matching, out.List.From = len(matching), from

	unlisted := make(map[string]*Pool, len(matching)) // by ID
	for _, q := range matching {
		unlisted[q.ID] = q
	}
	out.unsorted, out.Pools = nil, make([]Pool, 0, limit+1)
	list := func(id string) {
		if q := unlisted[id]; q != nil {
			out.Pools = append(out.Pools, *q)
			delete(unlisted, id)
		}
	}
	for _, id := range s.Keep {
		list(id)
	}
	for _, q := range matching[from:] {
		if len(out.Pools) >= limit {
			break
		}
		list(q.ID)
	}
	list(s.Also)
	return out
}

// list summarizes the pools of p when all of them are listed.
func (p *Picture) list() List {
	l := List{Pools: len(p.Pools), Matching: len(p.Pools)}
	for i := range p.Pools {
		switch p.Pools[i].Level {
		case Trouble:
			l.Trouble++
		case Warning:
			l.Warning++
		case Silent:
			l.Silent++
		case Good:
		}
	}
	if l.Trouble+l.Warning > 0 {
		q := &p.Pools[0]
		l.Worst = Worst{ID: q.ID, Name: q.Name, Level: q.Level, Reason: q.Reason, Verdict: q.Verdict}
	}
	return l
}

// matching returns the pools of p that match every word: it must occur in the pool's name, kind,
// service or level. The words must be in lower case.
func (p *Picture) matching(words []string) []*Pool {
	all := make([]*Pool, 0, len(p.Pools))
	for i := range p.Pools {
		q := &p.Pools[i]
		text := strings.ToLower(strings.Join([]string{q.Name, q.Kind, q.Service, string(q.Level)}, " "))
		if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(text, word) }) {
			all = append(all, q)
		}
	}
	return all
}
