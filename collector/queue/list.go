package queue

// list is a list of batches, oldest first. Batches in the middle are parked: they are safe on disk,
// and memory holds only a compact record of each. If all batches had entries in memory, small
// batches could take more memory than the queue's limit.
type list struct {
	first, last *entry // the oldest batches
	parked      []block
	young       []*entry // the youngest batches
}

// block holds consecutive parked batches of one segment.
type block struct {
	lane    *lane
	seg     *segment
	time    int64 // of the first batch; close to the time of the others
	old     bool
	records deltas // the offset, length, points and order of each batch
}

const (
	maxYoung   = 512 // if young has more entries, its older half is parked
	maxInBlock = 256
)

func (l *list) pushBack(e *entry) {
	if l.first == nil && len(l.parked)+len(l.young) == 0 {
		l.first, l.last = e, e
		return
	}
	l.young = append(l.young, e)
}

// insert puts e, which was taken from the list, back in its original place, which is near the
// front.
func (l *list) insert(e *entry) {
	at := &l.first
	for *at != nil && (*at).order < e.order {
		at = &(*at).next
	}
	if e.next = *at; e.next == nil {
		l.last = e
	}
	*at = e
}

func (l *list) popFront() {
	e := l.first
	l.first, e.next = e.next, nil
	if l.first == nil {
		l.last = nil
		l.fill()
	}
}

// trim removes entries from the front until the first one is not done.
func (l *list) trim() {
	for l.first != nil && l.first.state == done {
		l.popFront()
	}
}

// fill moves the next entries to the front, which must be empty.
func (l *list) fill() {
	switch {
	case len(l.parked) > 0:
		b := l.parked[0]
		l.parked[0] = block{}
		l.parked = l.parked[1:]
		b.records.each(4, func(r []int64) { l.link(b.entry(r)) })
	case len(l.young) > 0:
		for _, e := range l.young {
			l.link(e)
		}
		l.young = nil
	}
}

// link adds e to the end of the linked list that starts at l.first.
func (l *list) link(e *entry) {
	if l.last == nil {
		l.first = e
	} else {
		l.last.next = e
	}
	l.last = e
}

// entry returns the entry for the record r.
func (b *block) entry(r []int64) *entry {
	return &entry{
		lane:     b.lane,
		order:    r[3],
		points:   r[2],
		time:     b.time,
		length:   uint32(r[1]), //nolint:gosec // the same value as when e was parked
		state:    queued,
		accepted: true,
		old:      b.old,
		synced:   true,
		seg:      b.seg,
		offset:   r[0],
	}
}

// park parks the older half of young if young has more than maxYoung entries. It stops at the
// first entry that must not be parked. It calls let for each entry before parking it.
func (l *list) park(let func(*entry)) {
	if len(l.young) <= maxYoung {
		return
	}
	n := 0
	for _, e := range l.young[:len(l.young)-maxYoung/2] {
		if e.state != done && !e.mayPark() {
			break
		}
		n++
		if e.state != done {
			let(e)
			l.parkOne(e)
		}
	}
	rest := make([]*entry, len(l.young)-n, len(l.young)-n+maxYoung)
	copy(rest, l.young[n:])
	l.young = rest
}

func (e *entry) mayPark() bool {
	return e.accepted && e.synced && e.seg != nil && !e.picked
}

func (l *list) parkOne(e *entry) {
	n := len(l.parked)
	if n == 0 || !l.parked[n-1].takes(e) {
		if n > 0 {
			l.parked[n-1].records.clip()
		}
		l.parked = append(l.parked, block{lane: e.lane, seg: e.seg, time: e.time, old: e.old})
		n++
	}
	l.parked[n-1].records.append(e.offset, int64(e.length), e.points, e.order)
}

func (b *block) takes(e *entry) bool {
	return b.seg == e.seg && b.old == e.old && b.records.n < maxInBlock
}

// each calls f for each entry. If parked is set, it turns parked batches into entries and includes
// them.
func (l *list) each(parked bool, f func(*entry)) {
	if parked {
		l.expand()
	}
	for e := l.first; e != nil; e = e.next {
		f(e)
	}
	for _, e := range l.young {
		f(e)
	}
}

// expand moves all batches to the linked list at the front, as entries.
func (l *list) expand() {
	for len(l.parked)+len(l.young) > 0 {
		l.fill()
	}
}

// append moves all entries of other to the end of l, and marks them as backlog. The entries of
// other must be younger than those of l.
func (l *list) append(other *list) {
	l.expand()
	other.expand()
	for e := other.first; e != nil; e = e.next {
		e.old = true
	}
	l.concat(other)
}

// concat moves all entries of other to the end of l. The entries of other must be younger than
// those of l, and none of them may be parked.
func (l *list) concat(other *list) {
	other.each(false, func(e *entry) { l.young = append(l.young, e) })
	for _, e := range l.young {
		e.next = nil
	}
	if l.first == nil {
		l.fill()
	}
	*other = list{}
}
