package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

// simulated returns work for four simulated servers, each of which spends 5 ms on a task.
func simulated(name string) Work {
	return Work{name, "nothing, for 5ms", false, func(context.Context) (task, func(), error) {
		servers := make(chan struct{}, 4)
		return func(context.Context) error {
			servers <- struct{}{}
			time.Sleep(5 * time.Millisecond)
			<-servers
			return nil
		}, func() {}, nil
	}}
}

func options(works ...Work) Options {
	return Options{Works: works, Rounds: 3, Window: 100 * time.Millisecond, Max: 16, Seed: 1}
}

func TestRunRecommendsTheSmallestPoolThatIsNearTheBest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options(simulated("one"), simulated("two"))
		var estimates []time.Duration
		o.Progress = func(what string, left time.Duration) {
			if what == "" || left < 0 {
				t.Errorf("progress reported %q with %v left", what, left)
			}
			estimates = append(estimates, left)
		}
		r := Run(t.Context(), o)
		if len(r.Works) != 2 || r.Interrupted || len(estimates) != 2*3*len((&runner{Options: o}).models(o.Works[0])) {
			t.Fatalf("%d progress reports, %+v", len(estimates), r)
		}
		if first, last := estimates[0], estimates[len(estimates)-1]; last >= first {
			t.Errorf("the first progress report says %v left, the last %v", first, last)
		}
		for _, w := range r.Works {
			if w.Best != Workers || w.Size != 4 {
				t.Errorf("%s × %d recommended, want workers × 4: %+v", w.Best, w.Size, w.Rows)
			}
			for _, row := range w.Rows {
				if row.Rounds != 3 || row.Rate < 199 || row.Rate > 801 || row.P50 < 0.005 || row.P99 < row.P50 {
					t.Errorf("%s: %+v", w.Name, row)
				}
			}
		}
	})
}

func TestInterruptedRunReturnsPartialResults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second)
		defer cancel()
		r := Run(ctx, options(simulated("one"), simulated("two"), simulated("three")))
		if !r.Interrupted || len(r.Works) != 3 || len(r.Works[0].Rows) == 0 || r.Works[0].Rows[0].Rounds == 3 ||
			r.Works[0].Size != 4 {
			t.Errorf("got %+v, want an interrupted report with some rounds", r)
		}
		var b strings.Builder
		if err := r.Write(&b); err != nil || !strings.Contains(b.String(), "Interrupted") {
			t.Errorf("error %v; the report does not say Interrupted:\n%s", err, b.String())
		}
	})
}

// Each row is measured at least once, and none is measured again after the budget is spent.
func TestRunStaysWithinItsBudget(t *testing.T) {
	for budget, want := range map[time.Duration]func(rounds int) bool{
		time.Second:      func(rounds int) bool { return rounds == 1 },
		10 * time.Second: func(rounds int) bool { return rounds > 1 && rounds < 100 },
	} {
		synctest.Test(t, func(t *testing.T) {
			o := options(simulated("one"), simulated("two"))
			o.Rounds, o.Budget = 100, budget
			r := Run(t.Context(), o)
			if r.Interrupted || r.Seconds > max(5, budget.Seconds()+1) {
				t.Errorf("with a budget of %v: interrupted %v, took %.1f s", budget, r.Interrupted, r.Seconds)
			}
			for _, w := range r.Works {
				for _, row := range w.Rows {
					if !want(row.Rounds) {
						t.Errorf("with a budget of %v: %s was measured %d times", budget, row.model, row.Rounds)
					}
				}
			}
		})
	}
}

// A slow period of less than half of the run hardly changes any row, since the measurements of each
// row are spread over the whole run.
func TestMeasurementsOfARowAreSpreadOverTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		slow := Work{"slow at first", "", false, func(context.Context) (task, func(), error) {
			return func(context.Context) error {
				time.Sleep(5 * time.Millisecond)
				if time.Since(start) < 8*time.Second {
					time.Sleep(20 * time.Millisecond)
				}
				return nil
			}, func() {}, nil
		}}
		o := options(slow, simulated("other"))
		o.Rounds = 11
		r := Run(t.Context(), o)
		if r.Seconds < 17 {
			t.Fatalf("took %.1f s, want more than twice the slow period of 8 s", r.Seconds)
		}
		for _, row := range r.Works[0].Rows {
			if row.P50 > 0.0051 {
				t.Errorf("%s: the median task took %.3f s, want the usual 0.005 s", row.model, row.P50)
			}
		}
	})
}

func TestWorkThatFailsIsReported(t *testing.T) {
	refused := errors.New("connection refused")
	broken := Work{"broken", "", false, func(context.Context) (task, func(), error) {
		return func(context.Context) error { return refused }, func() {}, nil
	}}
	missing := Work{"missing", "", false, func(context.Context) (task, func(), error) { return nil, nil, refused }}
	for _, w := range Run(t.Context(), options(broken, missing)).Works {
		if !strings.Contains(w.Error, "connection refused") || w.Advice != "Nothing was measured." {
			t.Errorf("got %+v, want the error and no measurement", w)
		}
	}
	o := options(broken, missing)
	o.Budget = time.Second
	for _, r := range Sweep(t.Context(), o) {
		if !strings.Contains(r.Error, "connection refused") {
			t.Errorf("got %+v, want the error", r)
		}
	}
}

func TestTargetsGetAtMostMaxTasksAtATime(t *testing.T) {
	var running, peak atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		n := running.Add(1)
		defer running.Add(-1)
		for seen := peak.Load(); n > seen && !peak.CompareAndSwap(seen, n); seen = peak.Load() {
			continue
		}
	}))
	defer server.Close()
	o := options(URL(server.URL), TCP(server.Listener.Addr().String()))
	o.Max, o.Rounds, o.Window = 3, 1, 20*time.Millisecond
	for _, w := range Run(t.Context(), o).Works {
		if w.Error != "" || w.row(Goroutines) != nil {
			t.Errorf("got %+v, want no error and no unbounded goroutines", w)
		}
	}
	if peak.Load() > 3 {
		t.Errorf("%d requests at a time, want at most 3", peak.Load())
	}
}

func TestBuiltInWorksRunAndClose(t *testing.T) {
	for _, w := range BuiltIn(t.TempDir()) {
		run, done, err := w.prepare(t.Context())
		if err != nil {
			t.Fatalf("%s: prepare: %v", w.Name, err)
		}
		if err := (Model{Workers, 3}).run(t.Context(), 20, run); err != nil {
			t.Errorf("%s: run: %v", w.Name, err)
		}
		done()
	}
}

func TestFileWorkRemovesItsFiles(t *testing.T) {
	dir := t.TempDir()
	run, done, err := prepareFile(dir)(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := (Model{Goroutines, 0}).run(t.Context(), 5, run); err != nil {
		t.Error(err)
	}
	done()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("files left after cleanup: %v, error %v", left, err)
	}
	if _, _, err := prepareFile(dir + "/missing")(t.Context()); err == nil || !strings.Contains(err.Error(), "--dir") {
		t.Errorf("got error %v, want one that names --dir", err)
	}
}

// wideReport returns a report whose values take as many columns as possible.
func wideReport() Report {
	w := WorkReport{Name: "http", What: "GET from a loopback server that responds after 2ms"}
	for _, m := range []Model{{Sequential, 1}, {Goroutines, 0}, {Workers, 1024}, {Semaphore, 1024}, {Batches, 1024}} {
		w.Rows = append(w.Rows, Row{
			runs: []run{
				{rate: 1234567},
			},
			Model:  m.Kind,
			Size:   m.Size,
			Rate:   1234567,
			Spread: 0.123,
			P50:    0.0001234,
			P99:    0.1234,
			CPU:    0.0001234,
			CPUs:   1.5,
			Allocs: 123456,
			Memory: 1234 << 20,
			Rounds: 5,
		})
	}
	w.conclude(0)
	return Report{CPUs: 2, Quota: 0.5, Noise: 0.03, Seconds: 60, Works: []WorkReport{w}}
}

func TestReportIsAtMost80ColumnsWide(t *testing.T) {
	var b strings.Builder
	if err := wideReport().Write(&b); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if utf8.RuneCountInString(strings.TrimSuffix(line, "\n")) > 80 {
			t.Errorf("a line is wider than 80 columns: %s", line)
		}
	}
}

func TestReportAsJSON(t *testing.T) {
	data, err := json.Marshal(wideReport())
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{`"quota_cpus":0.5`, `"tasks_per_second":1234567`, `"speed_up":1`, `"best":`, `"advice":`} {
		if !bytes.Contains(data, []byte(key)) {
			t.Errorf("no %s in %s", key, data)
		}
	}
}

func TestPlotsAreImages(t *testing.T) {
	report := wideReport()
	report.Works[0].Rows = append(report.Works[0].Rows, Row{Model: Workers, Size: 2, Rate: 3, SpeedUp: 1.9})
	names, err := report.Plot(t.TempDir())
	if err != nil || len(names) != 3 {
		t.Fatalf("Plot wrote %v, error %v; want an SVG, a light PNG and a dark PNG", names, err)
	}
	sweeps := []SweepReport{
		{Name: "cpu", Knee: 2, Curve: []SweepPoint{{1, 100, 0}, {2, 198, 0}, {4, 199, 0}}},
		{Name: "http", Knee: 12, Curve: []SweepPoint{{1, 100, 0}, {3, 198, 0}, {64, 199, 0}}},
		{Name: "none"},
	}
	more, err := PlotSweeps(t.TempDir(), sweeps)
	if err != nil || len(more) != 3 {
		t.Fatalf("PlotSweeps wrote %v, error %v; want an SVG, a light PNG and a dark PNG", more, err)
	}
	for _, name := range append(names, more...) {
		if err := isImage(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func isImage(name string) error {
	data, err := os.ReadFile(name) //nolint:gosec // the test wrote it
	if err != nil {
		return err
	}
	if strings.HasSuffix(name, ".png") {
		_, err := png.Decode(bytes.NewReader(data))
		return err
	}
	for d := xml.NewDecoder(bytes.NewReader(data)); ; {
		if _, err := d.Token(); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

func TestSweepsFindAndReportTheKnee(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options(simulated("one"))
		o.Budget = 20 * time.Second
		found := Sweep(t.Context(), o)
		if found[0].Knee != 4 || !found[0].Clear {
			t.Errorf("got %+v, want a clear knee at 4 workers", found[0])
		}
		var b strings.Builder
		if err := WriteSweeps(&b, found); err != nil || !strings.Contains(b.String(), "4 workers do") {
			t.Errorf("error %v; the report does not recommend 4 workers:\n%s", err, b.String())
		}
		if _, err := json.Marshal(found); err != nil {
			t.Error(err)
		}
	})
}

func TestSweepsShareTheBudgetEqually(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options(simulated("one"), simulated("two"), simulated("three"))
		o.Budget = 30 * time.Second
		start := time.Now()
		started, totals := map[string]bool{}, []time.Duration(nil)
		o.Progress = func(what string, left time.Duration) {
			name := strings.Fields(what)[2]
			if !started[name] { // the maximum duration is known from the start
				started[name] = true
				totals = append(totals, time.Since(start)+left)
			}
		}
		Sweep(t.Context(), o)
		if len(totals) != 3 {
			t.Fatalf("progress was reported for %v, want three kinds of work", started)
		}
		for i, total := range totals {
			if diff := total - o.Budget; diff.Abs() > time.Second {
				t.Errorf("at the start of sweep %d, the estimated total is %v, want %v", i+1, total, o.Budget)
			}
		}
	})
}

func TestSweepsAreSeparatedByAnEmptyLine(t *testing.T) {
	sweeps := []SweepReport{
		{Name: "cpu", What: "hashing", Advice: "Use 2 workers."},
		{Name: "http", What: "GET", Error: "connection refused", Advice: "Nothing was measured."},
	}
	var b strings.Builder
	if err := WriteSweeps(&b, sweeps); err != nil {
		t.Fatal(err)
	}
	first, second, found := strings.Cut(b.String(), "\n\n")
	if !found || !strings.HasPrefix(first, "cpu: hashing\n") || !strings.HasSuffix(first, "Use 2 workers.") ||
		!strings.HasPrefix(second, "http: GET\n") || strings.Contains(first, "Ended early") ||
		!strings.HasSuffix(second, "Ended early: connection refused\nNothing was measured.\n") {
		t.Errorf("want two sweeps separated by an empty line, got\n%s", b.String())
	}
}

func ExampleReport_Write() {
	w := WorkReport{
		Name:   "cpu",
		What:   "hashing, 250µs of CPU",
		Best:   Workers,
		Size:   2,
		Advice: "Use 2 workers: 1.99 × sequential.",
	}
	w.Rows = []Row{
		{
			Model:   Workers,
			Size:    2,
			Rate:    7960,
			Spread:  0.01,
			SpeedUp: 1.99,
			P50:     250e-6,
			P99:     300e-6,
			CPU:     251e-6,
			Rounds:  11,
		},
	}
	if err := (Report{CPUs: 2, Noise: 0.02, Seconds: 60, Works: []WorkReport{w}}).Write(os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// 2 CPUs, no quota; machine noise ±2%; 11 rounds in 60 s
	//
	// cpu: hashing, 250µs of CPU
	//   model             tasks/s     ±  gain     p50     p99     CPU allocs   memory
	// ▶ workers × 2          7960    1% 1.99×   250µs   300µs   251µs      0    0 KiB
	//   Use 2 workers: 1.99 × sequential.
}
