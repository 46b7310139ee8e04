package prometheus

import (
	"encoding/json"
	"flag"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"

	"github.com/poolgauge/poolgauge/e2e/prometheus/internal/engine"
)

var (
	pictures = flag.String("pictures", "", "directory for pictures of the dashboards; without it, none are taken")
	minutes  = flag.Int("minutes", 8, "number of minutes that the pools run for the pictures")
)

// TestPictures draws the dashboards from what the real sidecar and the example service report while
// payments are slow for a while. It needs chromium, and render/node_modules by npm ci:
//
//	go test -run TestPictures -timeout 30m -args -pictures ../../docs/images
func TestPictures(t *testing.T) {
	if *pictures == "" {
		t.Skip("needs -pictures")
	}
	e := startEngine(t)
	duration := time.Duration(*minutes) * time.Minute
	s := startStack(t, e)
	from := time.Now().Add(20 * time.Second)
	go s.load(t, 90, duration)
	time.Sleep(duration * 2 / 5)
	s.payments(t, "110ms")
	time.Sleep(duration / 4)
	s.payments(t, "20ms")
	time.Sleep(duration * 7 / 20)
	to := time.Now()
	s.stop()
	for file, d := range dashboards(t) {
		page := filepath.Join(t.TempDir(), "page.html")
		writePage(t, page, file, queryAll(t, e, d, from, to))
		for _, width := range []int{1280, 1920} {
			screenshot(
				t,
				page,
				d,
				filepath.Join(*pictures, strings.TrimSuffix(file, ".json")+"-"+strconv.Itoa(width)+".png"),
				width,
			)
		}
	}
}

// results holds the data that the page draws.
type results struct {
	Minutes int       `json:"minutes"`
	Times   []float64 `json:"times"`
	Panels  [][]any   `json:"panels"` // by panel and query
}

const pictureRate = "20s"

// queryAll returns the results of all queries of d between two times.
func queryAll(t *testing.T, e *engine.Engine, d dashboard, from, to time.Time) results {
	t.Helper()
	step := max(time.Second, to.Sub(from)/160).Truncate(time.Second)
	r := results{Minutes: int(to.Sub(from).Round(time.Minute).Minutes())}
	for at := from; !at.After(to); at = at.Add(step) {
		r.Times = append(r.Times, float64(at.UnixMilli())/1000)
	}
	for _, p := range d.Panels {
		var queries []any
		for _, target := range p.Targets {
			expr := interpolate(d, target.Expr, pictureRate)
			if target.Instant {
				queries = append(queries, rowsOf(t, e, expr, to))
				continue
			}
			m, err := e.Range(t.Context(), expr, from, to, step)
			if err != nil {
				t.Fatalf("evaluating a query: %v: %s", err, expr)
			}
			if target.Format == "heatmap" {
				queries = append(queries, cellsOf(m))
			} else {
				queries = append(queries, seriesOf(m, target.LegendFormat, from, step, len(r.Times)))
			}
		}
		r.Panels = append(r.Panels, queries)
	}
	return r
}

func rowsOf(t *testing.T, e *engine.Engine, expr string, at time.Time) []map[string]any {
	t.Helper()
	v, err := e.Instant(t.Context(), expr, at)
	if err != nil {
		t.Fatalf("evaluating a query: %v: %s", err, expr)
	}
	list := []map[string]any{}
	for _, s := range v {
		if !math.IsNaN(s.F) {
			list = append(list, map[string]any{"labels": s.Metric.Map(), "value": s.F})
		}
	}
	return list
}

var placeholder = regexp.MustCompile(`{{(\w+)}}`)

func seriesOf(m promql.Matrix, legend string, from time.Time, step time.Duration, n int) []map[string]any {
	list := []map[string]any{}
	for _, s := range m {
		values, found := make([]*float64, n), false
		for _, f := range s.Floats {
			if i := int(
				math.Round(float64(f.T-from.UnixMilli()) / float64(step.Milliseconds())),
			); i < n && !math.IsNaN(f.F) &&
				!math.IsInf(f.F, 0) {
				values[i], found = &f.F, true
			}
		}
		name := placeholder.ReplaceAllStringFunc(
			legend,
			func(l string) string { return s.Metric.Get(strings.Trim(l, "{}")) },
		)
		if found {
			list = append(list, map[string]any{"name": name, "values": values})
		}
	}
	return list
}

func cellsOf(m promql.Matrix) []map[string]any {
	list := []map[string]any{}
	for _, s := range m {
		for _, h := range s.Histograms {
			for it := h.H.PositiveBucketIterator(); it.Next(); {
				if b := it.At(); b.Count > 0 {
					list = append(
						list,
						map[string]any{"time": float64(h.T) / 1000, "low": b.Lower, "high": b.Upper, "count": b.Count},
					)
				}
			}
		}
	}
	return list
}

func writePage(t *testing.T, path, file string, r results) {
	t.Helper()
	read := func(name string) string {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	page := strings.NewReplacer(
		"{{UPLOT_CSS}}",
		read("render/node_modules/uplot/dist/uPlot.min.css"),
		"{{UPLOT_JS}}",
		read("render/node_modules/uplot/dist/uPlot.iife.min.js"),
		"{{DASHBOARD}}",
		read(deploy+"/grafana/"+file),
		"{{DATA}}",
		string(data),
		"{{DRAW}}",
		read("render/draw.js"),
	).Replace(read("render/page.html"))
	if err := os.WriteFile(path, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
}

// screenshot writes a picture of the entire page to the file picture: the grid of panels and the
// header above it.
func screenshot(t *testing.T, page string, d dashboard, picture string, width int) {
	t.Helper()
	rows := 0
	for _, p := range d.Panels {
		rows = max(rows, p.GridPos.Y+p.GridPos.H)
	}
	picture, err := filepath.Abs(picture)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync", "--hide-scrollbars",
		"--user-data-dir="+t.TempDir(),
		"--screenshot="+picture, "--window-size="+strconv.Itoa(width)+","+strconv.Itoa(rows*38+108), "file://"+page).
		CombinedOutput()
	if err != nil {
		t.Fatalf("chromium: %v\n%s", err, out)
	}
}
