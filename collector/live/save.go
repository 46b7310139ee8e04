package live

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/cespare/xxhash/v2"
)

// fileName is the name of the file with the history.
const fileName = ".live.json" // the queue, which uses the same directory, ignores this name

// stored is the content of the history file. [Live.Load] rejects a file with another version.
type stored struct {
	Version int           `json:"version"`
	Begin   time.Time     `json:"begin"`
	Slot    time.Duration `json:"slot"`
	Pools   []storedPool  `json:"pools"`
}

type storedPool struct {
	Service  string        `json:"service"`
	Instance string        `json:"instance"`
	App      uint64        `json:"app"`
	ID       string        `json:"id"`
	Name     string        `json:"name"`
	Kind     string        `json:"kind"`
	Seen     time.Time     `json:"seen"`
	Interval time.Duration `json:"interval"`
	Now      []byte        `json:"now"` // float32 values
	Last     int64         `json:"last"`
	Track    []byte        `json:"track"` // half values, by row
	HeatLast int64         `json:"heatLast"`
	Heat     []byte        `json:"heat"` // by column
}

const version = 1

// Save writes the history to a file in dir, replacing any previous one. [Live.Load] restores the
// history, and new points from the apps then extend it.
func (l *Live) Save(dir string) error {
	data, err := json.Marshal(l.stored())
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	temporary := filepath.Join(dir, fileName+".new")
	if err := os.WriteFile(temporary, data, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, filepath.Join(dir, fileName))
}

func (l *Live) stored() stored {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.currentSlot() // switches to coarse slots if necessary
	s := stored{Version: version, Begin: l.begin, Slot: l.slot}
	for _, p := range l.pools {
		q := storedPool{
			Service:  p.app.service,
			Instance: p.app.instance,
			App:      p.app.key,
			ID:       p.id,
			Name:     p.name,
			Kind:     p.kind,
			Seen:     p.seen,
			Interval: p.interval,
			Last:     p.track.last,
			HeatLast: p.waits.last,
		}
		for _, v := range p.now {
			q.Now = binary.LittleEndian.AppendUint32(q.Now, math.Float32bits(v))
		}
		for i := range p.track.rows {
			for _, v := range p.track.rows[i] {
				q.Track = binary.LittleEndian.AppendUint16(q.Track, uint16(v))
			}
		}
		for i := range p.waits.columns {
			q.Heat = append(q.Heat, p.waits.columns[i][:]...)
		}
		s.Pools = append(s.Pools, q)
	}
	return s
}

// Load reads the history that [Live.Save] wrote to dir. It ignores pools that have been silent for
// too long. Load must be called before any other method. If the file is damaged or has another
// version, Load returns an error, and the picture is empty.
func (l *Live) Load(dir string) error {
	data, err := os.ReadFile(filepath.Join(dir, fileName)) //nolint:gosec // the user chose the directory
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var s stored
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("parsing %s: %w", fileName, err)
	}
	now := time.Now()
	if s.Version != version || s.Slot != time.Second && s.Slot != coarse*time.Second || s.Begin.After(now) {
		return fmt.Errorf(
			"%s: expected version %d, slots of 1s or %ds and a start in the past, got version %d, slots of %v and start %v",
			fileName,
			version,
			coarse,
			s.Version,
			s.Slot,
			s.Begin,
		)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.begin, l.slot = s.Begin, s.Slot
	for i := range s.Pools {
		if q := &s.Pools[i]; now.Sub(q.Seen) < forgetAfter && !l.restore(q) {
			return fmt.Errorf("%s: the history of pool %q is damaged", fileName, q.Name)
		}
	}
	l.currentSlot()
	return nil
}

// restore creates a pool from q if there is room. It returns false if q is damaged. Caller must
// hold mu.
func (l *Live) restore(q *storedPool) bool {
	maxSlot := int64(time.Since(l.begin)/l.slot) + 1
	if len(q.Now) != 4*numValues || len(q.Track) != 2*numTracked*slots || len(q.Heat) != heatWidth*heatHeight ||
		q.Last < 0 || q.Last > maxSlot || q.HeatLast < 0 || q.HeatLast > maxSlot {
		return false
	}
	if l.used+poolSize+appSize > l.cfg.Limit {
		return true
	}
	a := l.apps[q.App]
	if a == nil {
		a = &app{key: q.App, service: q.Service, instance: q.Instance, series: map[uint64]*series{}}
		l.apps[q.App] = a
		l.used += appSize
	}
	a.seen = q.Seen
	p := &pool{
		app:      a,
		id:       q.ID,
		name:     q.Name,
		kind:     q.Kind,
		seen:     q.Seen,
		interval: q.Interval,
		track:    newTrack(numTracked),
	}
	for i := range p.now {
		p.now[i] = math.Float32frombits(binary.LittleEndian.Uint32(q.Now[4*i:]))
	}
	for row := range p.track.rows {
		for i := range p.track.rows[row] {
			p.track.rows[row][i] = half(binary.LittleEndian.Uint16(q.Track[2*(row*slots+i):]))
		}
	}
	for i := range p.waits.columns {
		copy(p.waits.columns[i][:], q.Heat[i*heatHeight:])
	}
	p.track.last, p.waits.last = q.Last, q.HeatLast
	l.pools[q.ID] = p
	l.used += poolSize
	return true
}

// Keeper periodically saves the history to a directory. It uses its own goroutine, so that a hung
// disk does not delay anything else.
type Keeper struct {
	live   *Live
	dir    string
	stop   chan struct{}
	done   chan struct{}
	report func(error)
}

// savePeriod is the time between two saves. If the process is killed, at most this much history is
// lost.
const savePeriod = 5 * time.Minute

// Keep loads the history from dir, and starts a Keeper that saves it there every five minutes.
// report is called with each error. Call [Keeper.Close] to stop the Keeper.
func (l *Live) Keep(dir string, report func(error)) *Keeper {
	if err := l.Load(dir); err != nil {
		report(err)
	}
	k := &Keeper{live: l, dir: dir, stop: make(chan struct{}), done: make(chan struct{}), report: report}
	go k.run()
	return k
}

func (k *Keeper) run() {
	defer close(k.done)
	ticker := time.NewTicker(savePeriod)
	defer ticker.Stop()
	for last := false; !last; {
		select {
		case <-ticker.C:
		case <-k.stop:
			last = true
		}
		if err := k.live.Save(k.dir); err != nil {
			k.report(err)
		}
	}
}

// Close saves the history one last time and stops the Keeper. It waits at most 200 ms for the save
// to finish.
func (k *Keeper) Close() {
	close(k.stop)
	select {
	case <-k.done:
	case <-time.After(200 * time.Millisecond):
	}
}

// identity returns the key of an app. A restart of the sidecar does not change the key.
func identity(service, instance, pid string) uint64 {
	return xxhash.Sum64String(service + "\x00" + instance + "\x00" + pid)
}
