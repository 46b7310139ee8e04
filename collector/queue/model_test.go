package queue

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/poolgauge/poolgauge/internal/logtest"
)

// modelBatch is one batch of the model.
type modelBatch struct {
	n, size                         int
	flown, flying, evicted, settled bool
}

// model is a reference implementation of the queue: a plain slice, with the rules in their simplest
// form. Its methods also call the queue under test and compare the two.
type model struct {
	t       *testing.T
	random  *rand.Rand
	c       Config
	log     *logtest.Buffer
	q       *Queue
	next    int
	batches []*modelBatch // not settled, oldest first
	flight  *Flight
	flying  []*modelBatch
	full    int64
	settled int64
	put     int64
	before  Points // recovered and resent
}

const modelLimit = 40_000

func (m *model) usage() (sum int) {
	for _, b := range m.batches {
		if !b.evicted {
			sum += b.size + Overhead
		}
	}
	return sum
}

func (m *model) points(b *modelBatch) int64 { return batch(b.n, b.size).Points }

func (m *model) room() {
	for _, b := range m.batches { // oldest first, in flight or not
		if m.usage() <= modelLimit {
			break
		}
		b.evicted = true
		if !b.flying {
			m.full += m.points(b)
			b.settled = true
		}
	}
	m.forget()
}

func (m *model) forget() {
	m.batches = slices.DeleteFunc(m.batches, func(b *modelBatch) bool { return b.settled })
}

func (m *model) doPut() {
	b := &modelBatch{n: m.next, size: 8 + m.random.IntN(2000)}
	if m.random.IntN(40) == 0 {
		b.size = modelLimit / 2
	}
	m.next++
	m.batches = append(m.batches, b)
	m.put += m.points(b)
	m.room()
	put(m.t, m.q, batch(b.n, b.size))
}

func (m *model) doTake() {
	if m.flight != nil || len(m.batches) == 0 {
		return
	}
	limit := m.random.IntN(6000)
	f, err := m.q.Take(context.Background(), Metrics, int64(limit))
	if err != nil {
		m.t.Fatal(err)
	}
	m.flight, m.flying = f, nil
	size := 0
	for i, b := range m.batches {
		size += b.size
		if i > 0 && (size > limit || batch(b.n, 8).Signal != batch(m.batches[0].n, 8).Signal) {
			break
		}
		b.flying, b.flown = true, true
		m.flying = append(m.flying, b)
	}
	var got, want []int
	for _, b := range batchesOf(f) {
		got = append(got, number(b))
	}
	for _, b := range m.flying {
		want = append(want, b.n)
	}
	equal(m.t, "flight", got, want)
}

func (m *model) doSettle() {
	if m.flight == nil {
		return
	}
	i := m.random.IntN(len(m.flying))
	m.flight.Settle(i)
	if !m.flying[i].settled {
		m.flying[i].settled = true
		m.settled += m.points(m.flying[i])
	}
	m.forget()
	if !slices.ContainsFunc(m.flying, func(b *modelBatch) bool { return !b.settled }) {
		m.flight = nil
	}
}

func (m *model) doReturn() {
	if m.flight == nil {
		return
	}
	m.flight.Return()
	m.land()
}

// land ends the flight in the model.
func (m *model) land() {
	for _, b := range m.flying {
		b.flying = false
		if b.evicted && !b.settled {
			b.settled = true
			m.full += m.points(b)
		}
	}
	m.flight = nil
	m.forget()
}

// doReopen restarts the queue in the same directory or, if kill is set, in a copy of it as a kill
// would leave it.
func (m *model) doReopen(kill bool) {
	if m.c.Dir == "" {
		return
	}
	m.doPut() // once this is on disk, so is everything before it
	before := m.q
	if kill {
		m.c.Dir = snapshot(m.t, m.c.Dir)
	}
	mustClose(m.t, before)
	m.q = mustOpen(m.t, m.c)
	m.q.SetAway(Metrics, true)
	m.put, m.settled, m.full = 0, 0, 0
	m.before = Points{}
	for _, b := range m.batches {
		b.flying, b.evicted = false, false
		m.before.Recovered += m.points(b)
		if b.flown {
			m.before.Resent += m.points(b)
		}
	}
	m.flight, m.flying = nil, nil
	m.room() // evicted batches had given up their room
}

func (m *model) check() {
	a := m.q.Account()
	got := total(a)
	want := m.before
	want.Full = m.full
	for _, b := range m.batches {
		want.Queued += m.points(b)
	}
	if got != want {
		m.t.Fatalf("points %+v, want %+v", got, want)
	}
	if a.Usage != int64(m.usage()) {
		m.t.Fatalf("usage %d, want %d", a.Usage, m.usage())
	}
	if m.put+got.Recovered != m.settled+got.Full+got.Damaged+got.Queued {
		m.t.Fatalf("%d points put and %d settled do not add up with account %+v", m.put, m.settled, got)
	}
	if a.Oldest().IsZero() != (len(m.batches) == 0) || a.Oldest().After(time.Now()) {
		m.t.Fatalf("oldest batch was put at %v, with %d batches queued", a.Oldest(), len(m.batches))
	}
	if a.Durable != (m.c.Dir != "") {
		m.t.Fatalf("durable is %v, want %v\n%s", a.Durable, m.c.Dir != "", m.log)
	}
}

func TestModel(t *testing.T) {
	for name, test := range map[string]struct {
		disk bool
		sync time.Duration
	}{"memory": {}, "every Put synced": {true, 0}, "not synced": {true, noSync}} {
		for seed := range uint64(4) {
			t.Run(fmt.Sprintf("%s %d", name, seed), func(t *testing.T) {
				dir := ""
				if test.disk {
					dir = t.TempDir()
				}
				m := &model{t: t, random: rand.New(rand.NewPCG(seed, 1))}
				m.c, m.log = config(dir, modelLimit, test.sync)
				m.q = mustOpen(t, m.c)
				m.q.SetAway(Metrics, true)
				m.run(300)
				if m.flight != nil {
					m.doReturn()
				}
				want := []int{}
				for _, b := range m.batches {
					want = append(want, b.n)
				}
				equal(t, "remaining", drain(t, m.q), want)
				mustClose(t, m.q)
				if strings.Contains(m.log.String(), "WARN") {
					t.Errorf("unexpected warnings:\n%s", m.log)
				}
				if test.disk && len(segmentsIn(t, m.c.Dir)) > 0 {
					t.Errorf("segments left behind by an empty queue: %v", segmentsIn(t, m.c.Dir))
				}
			})
		}
	}
}

func (m *model) run(steps int) {
	for range steps {
		switch n := m.random.IntN(100); {
		case n < 45:
			m.doPut()
		case n < 65:
			m.doTake()
		case n < 85:
			m.doSettle()
		case n < 96:
			m.doReturn()
		default:
			m.doReopen(n < 98)
		}
		m.check()
	}
}
