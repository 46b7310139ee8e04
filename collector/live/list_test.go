package live

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

func TestSelect(t *testing.T) {
	p := &Picture{Pools: []Pool{
		{ID: "1", Name: "mail", Kind: "worker", Service: "shop", Level: Trouble, Reason: "3 waiting", Rate: Known(5)},
		{ID: "2", Name: "Disk", Kind: "semaphore", Service: "shop", Level: Warning, OldestWait: Known(2)},
		{ID: "3", Name: "cache", Kind: "resource", Service: "blog", Level: Good, Used: Known(1), Limit: Known(2)},
		{ID: "4", Name: "api", Kind: "worker", Service: "blog", Level: Good, Used: Known(2), Limit: Known(2)},
		{ID: "5", Name: "old", Kind: "worker", Service: "shop", Level: Silent},
	}}
	p.List = p.list()
	for name, c := range map[string]struct {
		selection      Selection
		want           string // IDs in order
		matching, from int
	}{
		"everything":                        {Selection{}, "12345", 5, 0},
		"by name, ignoring case":            {Selection{Sort: "name"}, "43215", 5, 0},
		"by fill, then worst first":         {Selection{Sort: "fill"}, "43125", 5, 0},
		"by oldest wait":                    {Selection{Sort: "oldest"}, "21345", 5, 0},
		"by rate":                           {Selection{Sort: "rate"}, "12345", 5, 0},
		"all words match, ignoring case":    {Selection{Filter: " WORKER  shop"}, "15", 2, 0},
		"a level":                           {Selection{Filter: "silent"}, "5", 1, 0},
		"nothing matches":                   {Selection{Filter: "nothing", From: 3, Limit: 2, Keep: []string{"1"}, Also: "2"}, "", 0, 0},
		"the first page":                    {Selection{Limit: 2}, "12", 5, 0},
		"the second page":                   {Selection{From: 2, Limit: 2}, "34", 5, 2},
		"a limit above the number of pools": {Selection{Limit: math.MaxInt}, "12345", 5, 0},
		"past the last page":                {Selection{From: 9, Limit: 2}, "5", 5, 4},
		"past the end of an unlimited list": {Selection{From: 9}, "12345", 5, 0},
		"kept pools come first":             {Selection{Limit: 3, Keep: []string{"5", "2", "gone", "5"}}, "521", 5, 0},
		"all kept pools are listed":         {Selection{Limit: 2, Keep: []string{"5", "4", "3"}}, "543", 5, 0},
		"a kept pool must match":            {Selection{Filter: "blog", Keep: []string{"1", "4"}}, "43", 2, 0},
		"an additional pool comes last":     {Selection{Limit: 2, Also: "4"}, "124", 5, 0},
		"an additional pool already listed": {Selection{Limit: 2, Also: "2"}, "12", 5, 0},
		"an unknown additional pool":        {Selection{Limit: 2, Also: "gone"}, "12", 5, 0},
	} {
		t.Run(name, func(t *testing.T) {
			got := p.Select(c.selection)
			var ids strings.Builder
			for _, q := range got.Pools {
				ids.WriteString(q.ID)
			}
			want := List{
				Pools: 5, Trouble: 1, Warning: 1, Silent: 1, Matching: c.matching, From: c.from,
				Worst: Worst{ID: "1", Name: "mail", Level: Trouble, Reason: "3 waiting"},
			}
			if ids.String() != c.want || got.List != want {
				t.Errorf("got %s, %+v\nwant %s, %+v", ids.String(), got.List, c.want, want)
			}
		})
	}
	healthy := &Picture{Pools: p.Pools[2:]}
	healthy.List = healthy.list()
	if got := healthy.Select(Selection{}); got.List.Worst != (Worst{}) {
		t.Errorf("worst of the healthy pools: got %+v, want none", got.List.Worst)
	}
}

func TestPictureListsAllPools(t *testing.T) {
	l, now := New(Config{}), time.Now()
	l.Offer(requestAt(now, now).
		number(catalog.PoolLimit, 8, ofPool("orders")...).
		number(catalog.PoolLimit, 8, ofPool("mail")...).wire(t))
	if got, want := l.Picture().List, (List{Pools: 2, Matching: 2}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
