package queue

// list is a list of batches, oldest first. Batches in the middle are parked: they are safe on disk,
// and memory holds only a compact record of each. If all batches had entries in memory, small
// batches could take more memory than the queue's limit.
type list struct {
	first, last *entry // linked list of the oldest batches
	parked      []block
	newest      []*entry // the newest batches
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
	maxNewest  = 512 // if newest has more entries, its older half is parked
	maxInBlock = 256
)

func (l *list) pushBack(e *entry) {
	if l.first == nil && len(l.parked)+len(l.newest) == 0 {
		l.first, l.last = e, e
		return
	}
	l.newest = append(l.newest, e)
}

// insert puts e, which was taken from the list, back in its place near the front.
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

// fill moves the next entries to the linked list, which must be empty.
func (l *list) fill() {
	switch {
	case len(l.parked) > 0:
		b := l.parked[0]
		l.parked[0] = block{}
		l.parked = l.parked[1:]
		b.records.each(4, func(r []int64) { l.link(b.entry(r)) })
	case len(l.newest) > 0:
		for _, e := range l.newest {
			l.link(e)
		}
		l.newest = nil
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

// park parks the older half of newest if newest has more than maxNewest entries. It stops at the
// first entry that must not be parked. It calls onPark for each entry before parking it.
func (l *list) park(onPark func(*entry)) {
	if len(l.newest) <= maxNewest {
		return
	}
	n := 0
	for _, e := range l.newest[:len(l.newest)-maxNewest/2] {
		if e.state != done && !e.mayPark() {
			break
		}
		n++
		if e.state != done {
			onPark(e)
			l.parkOne(e)
		}
	}
	rest := make([]*entry, len(l.newest)-n, len(l.newest)-n+maxNewest)
	copy(rest, l.newest[n:])
	l.newest = rest
}

func (e *entry) mayPark() bool {
	return e.accepted && e.synced && e.seg != nil && !e.picked
}

func (l *list) parkOne(e *entry) {
	n := len(l.parked)
	if n == 0 || !l.parked[n-1].canHold(e) {
		if n > 0 {
			l.parked[n-1].records.clip()
		}
		l.parked = append(l.parked, block{lane: e.lane, seg: e.seg, time: e.time, old: e.old})
		n++
	}
	l.parked[n-1].records.append(e.offset, int64(e.length), e.points, e.order)
}

func (b *block) canHold(e *entry) bool {
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
	for _, e := range l.newest {
		f(e)
	}
}

// expand moves all batches to the linked list, as entries.
func (l *list) expand() {
	for len(l.parked)+len(l.newest) > 0 {
		l.fill()
	}
}

// append moves all entries of other to the end of l, and marks them as backlog. The entries of
// other must be newer than those of l.
func (l *list) append(other *list) {
	l.expand()
	other.expand()
	for e := other.first; e != nil; e = e.next {
		e.old = true
	}
	l.concat(other)
}

// concat moves all entries of other to the end of l. The entries of other must be newer than those
// of l, and none of them may be parked.
func (l *list) concat(other *list) {
	other.each(false, func(e *entry) { l.newest = append(l.newest, e) })
	for _, e := range l.newest {
		e.next = nil
	}
	if l.first == nil {
		l.fill()
	}
	*other = list{}
}
