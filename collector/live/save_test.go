package live

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// The history survives a restart of the sidecar and continues with the app's next points.
func TestSave(t *testing.T) {
	dir := t.TempDir()
	before := New(Config{})
	before.Offer(busy(time.Now(), "orders").wire(t))
	want := onlyPool(t, before)
	keeper := before.Keep(dir, func(err error) { t.Error(err) })
	keeper.Close()

	after := New(Config{})
	if err := after.Load(dir); err != nil {
		t.Fatal(err)
	}
	got := onlyPool(t, after)
	if got.ID != want.ID || got.Used != want.Used || got.Wait != want.Wait || !got.Seen.Equal(want.Seen) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	waits := func(l *Live) (n int64) {
		h, _ := l.History(want.ID)
		for _, column := range h.Waits.Counts {
			for _, of := range column {
				n += of
			}
		}
		return n
	}
	if waits(after) == 0 || waits(after) != waits(before) {
		t.Errorf("%d waits in the heatmap, want %d", waits(after), waits(before))
	}
	after.Offer(busy(time.Now().Add(time.Second), "orders").wire(t))
	expect(t, "used", onlyPool(t, after).Used, 3)
}

func TestCloseReturnsOnceTheHistoryIsSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keeper := New(Config{}).Keep(t.TempDir(), func(err error) { t.Error(err) })
		before := time.Now()
		keeper.Close()
		if took := time.Since(before); took != 0 {
			t.Errorf("Close took %v, want 0", took)
		}
	})
}

// A damaged file is reported and has no other effect.
func TestLoadDamaged(t *testing.T) {
	for _, text := range []string{
		"", "{", `{"version":9}`,
		`{"version":9,"slot":1000000000,"begin":"2020-01-01T00:00:00Z"}`,
		`{"version":1,"slot":7,"begin":"2020-01-01T00:00:00Z"}`,
		`{"version":1,"slot":1000000000,"begin":"2020-01-01T00:00:00Z","pools":[{"seen":"2999-01-01T00:00:00Z"}]}`,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, fileName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		l := New(Config{})
		if err := l.Load(dir); err == nil {
			t.Errorf("Load accepted %q", text)
		}
		l.Offer(busy(time.Now(), "orders").wire(t))
		onlyPool(t, l)
	}
}

// A file with a damaged pool is rejected.
func TestLoadDamagedPool(t *testing.T) {
	for name, damage := range map[string]func(*storedPool){
		"a value is missing":                       func(q *storedPool) { q.Now = q.Now[4:] },
		"a slot is missing":                        func(q *storedPool) { q.Track = q.Track[2:] },
		"a count of waits is missing":              func(q *storedPool) { q.Heat = q.Heat[1:] },
		"the last slot is negative":                func(q *storedPool) { q.Last = -1 },
		"the last slot is in the future":           func(q *storedPool) { q.Last = 1000 },
		"the last heatmap column is negative":      func(q *storedPool) { q.HeatLast = -1 },
		"the last heatmap column is in the future": func(q *storedPool) { q.HeatLast = 1000 },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := New(Config{})
				l.Offer(busy(time.Now(), "orders").wire(t))
				saved := l.stored()
				damage(&saved.Pools[0])
				data, err := json.Marshal(saved)
				if err != nil {
					t.Fatal(err)
				}
				dir := t.TempDir()
				if err := os.WriteFile(filepath.Join(dir, fileName), data, 0o600); err != nil {
					t.Fatal(err)
				}
				if err := New(Config{}).Load(dir); err == nil {
					t.Error("Load accepted the file")
				}
			})
		})
	}
}
