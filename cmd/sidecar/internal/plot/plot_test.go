package plot

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"math"
	"strings"
	"testing"
)

func chart() Chart {
	return Chart{Title: "Throughput & more", Note: "Rings: the best.", XTitle: "workers", Unit: "×", Lines: []Line{
		{"cpu: 2", []Point{{1, 1}, {2, 1.98}, {4, 1.99}, {64, 1.97}}, 2},
		{"http: 24", []Point{{1, 1}, {4, 3.9}, {16, 12}, {32, 19}, {64, 22}}, 24},
		{"none", nil, 0},
	}}
}

// elements returns how often each element occurs in an SVG, and the contents of its text elements.
func elements(t *testing.T, svg []byte) (count map[string]int, texts []string) {
	t.Helper()
	count = map[string]int{}
	for d, inside := xml.NewDecoder(bytes.NewReader(svg)), ""; ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return count, texts
		}
		if err != nil {
			t.Fatalf("%v in %s", err, svg)
		}
		switch token := token.(type) {
		case xml.StartElement:
			inside = token.Name.Local
			count[inside]++
		case xml.CharData:
			if inside == "text" {
				texts = append(texts, string(token))
			}
		case xml.EndElement:
			inside = ""
		}
	}
}

func TestSVGShowsEachLineWithItsPointsAndName(t *testing.T) {
	count, texts := elements(t, chart().SVG())
	if got, want := count["circle"], 4+5+2*3+2; got != want { // points, marks, and one next to each name
		t.Errorf("%d circles, want %d", got, want)
	}
	if got := bytes.Count(chart().SVG(), []byte("font-weight")); got != 1 {
		t.Errorf("%d texts are bold, want only the title", got)
	}
	all := strings.Join(texts, "|")
	for _, want := range []string{"Throughput & more", "Rings: the best.", "workers", "1×", "32×", "|64|", "cpu: 2", "http: 24"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in %s", want, all)
		}
	}
	if strings.Contains(all, "none") {
		t.Errorf("the name of a line without points is in %s", all)
	}
}

func TestSVGEscapesNamesAndRefersToNoOtherResources(t *testing.T) {
	hostile := `</text><script>alert(1)</script>"` + "\x00\x1b[2J\xff"
	c := chart()
	c.Title, c.Lines[0].Name, c.Lines[1].Name = hostile, hostile, "http://user/?a=1&b=2"
	svg := c.SVG()
	count, _ := elements(t, svg)
	if count["script"] > 0 || bytes.ContainsAny(svg, "\x00\x1b") {
		t.Errorf("a name became markup or control characters: %s", svg)
	}
	for _, reference := range []string{"href", "url(", "@import", "src="} {
		if bytes.Contains(svg, []byte(reference)) {
			t.Errorf("a reference to another resource: %q in %s", reference, svg)
		}
	}
}

// inked reports whether a part of an image has pixels that differ in color from the image's top
// left corner.
func inked(img image.Image, part image.Rectangle) bool {
	for y := part.Min.Y; y < part.Max.Y; y++ {
		for x := part.Min.X; x < part.Max.X; x++ {
			if img.At(x, y) != img.At(0, 0) {
				return true
			}
		}
	}
	return false
}

// decoded returns the chart's PNG, decoded.
func decoded(t *testing.T, c Chart, dark bool) image.Image {
	t.Helper()
	data, err := c.PNG(dark)
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func TestPNGIsLightOrDarkAndHasMargins(t *testing.T) {
	many := chart()
	for i := range 20 {
		name := fmt.Sprintf("http://localhost:8080/an/address/that/is/rather/long/%d", i)
		many.Lines = append(many.Lines, Line{name, []Point{{1, 1e6}, {1 << 20, 1e6 + float64(i)}}, 1 << 20})
	}
	for name, c := range map[string]Chart{"two lines": chart(), "many": many} {
		for _, dark := range []bool{false, true} {
			img := decoded(t, c, dark)
			r, _, _, _ := img.At(0, 0).RGBA()
			if isDark := r < 0x8000; isDark != dark {
				t.Errorf("%s: with dark = %v, the background is %v", name, dark, img.At(0, 0))
			}
			b := img.Bounds()
			for _, edge := range []image.Rectangle{
				{b.Min, image.Pt(b.Max.X, 8)}, {image.Pt(0, b.Max.Y-8), b.Max}, {b.Min, image.Pt(8, b.Max.Y)}, {image.Pt(b.Max.X-8, 0), b.Max},
			} {
				if inked(img, edge) {
					t.Errorf("%s: something is drawn in the margin %v of %v", name, edge, b)
				}
			}
			if !inked(img, image.Rect(left, 14, width/2, 30)) {
				t.Errorf("%s: the image has no title", name)
			}
		}
	}
}

// On logarithmic axes, the curve y = x is straight, so pixels between its points have its color.
func TestPNGDrawsCurvesInTheRightPlace(t *testing.T) {
	c := Chart{Lines: []Line{{"", []Point{{1, 1}, {2, 2}, {64, 64}}, 0}}}
	img := decoded(t, c, false)
	x, y := newAxis([]float64{1, 64}, left, width-42), newAxis([]float64{1, 64}, minHeight-bottom, top)
	for _, v := range []float64{1, 2, 8, 32, 64} {
		if r, _, b, _ := img.At(int(x.at(v)), int(y.at(v))).RGBA(); r > 0x2000 || b < 0xc000 {
			t.Errorf("the color at %v is %v, want blue", v, img.At(int(x.at(v)), int(y.at(v))))
		}
	}
}

func TestNamesDoNotOverlap(t *testing.T) {
	c := chart()
	for range 20 { // all end at the same height
		c.Lines = append(c.Lines, c.Lines[0])
	}
	rec := &recorder{}
	c.draw(rec)
	if len(rec.names) != 22 {
		t.Fatalf("%d names drawn, want 22", len(rec.names))
	}
	for i, at := range rec.names {
		if i > 0 && at.Y-rec.names[i-1].Y < lineHeight-0.01 || at.Y < 20 || at.Y > float64(c.height()) {
			t.Errorf("names overlap or are outside the chart: they are at %v", rec.names)
		}
	}
}

// recorder is a canvas that records where the curves' names are drawn.
type recorder struct{ names []Point }

func (r *recorder) stroke(role, float64, ...Point) {}
func (r *recorder) dot(role, Point, float64)       {}
func (r *recorder) text(at Point, _ anchor, _ bool, text string) {
	if strings.Contains(text, ": ") && !strings.HasPrefix(text, "Rings") {
		r.names = append(r.names, at)
	}
}

// Values that a logarithmic axis cannot show are omitted. A chart with a single point is not empty.
func TestOddCharts(t *testing.T) {
	odd := []Point{{0, 1}, {1, 0}, {-1, 2}, {math.NaN(), 1}, {1, math.NaN()}, {math.Inf(1), 1}, {1, math.Inf(1)}}
	for name, c := range map[string]Chart{
		"no lines":   {},
		"odd values": {Lines: []Line{{"odd", odd, 3}}},
	} {
		if !c.Empty() {
			t.Errorf("%s: the chart is not empty", name)
		}
		decoded(t, c, false)
		elements(t, c.SVG())
	}
	one := Chart{Lines: []Line{{"one", append(odd, Point{3, 0.001}), 7}}}
	if one.Empty() {
		t.Error("a chart with one point is empty")
	}
	decoded(t, one, true)
	if count, _ := elements(t, one.SVG()); count["circle"] != 1+3+1 || bytes.Contains(one.SVG(), []byte("NaN")) {
		t.Errorf("a chart with one point has %d circles, want 5, in %s", count["circle"], one.SVG())
	}
}

func TestAlong(t *testing.T) {
	points := []Point{{10, 0}, {20, 100}, {30, 50}}
	for x, want := range map[float64]Point{0: {10, 0}, 10: {10, 0}, 15: {15, 50}, 20: {20, 100}, 28: {28, 60}, 90: {30, 50}} {
		if got := along(points, x); got != want {
			t.Errorf("at %v: got %v, want %v", x, got, want)
		}
	}
}

func TestLongNamesAreTruncatedAtTheFront(t *testing.T) {
	if got := short(
		"http://localhost:8080/" + strings.Repeat("x", 50) + "/orders: 12",
	); len([]rune(got)) != longestName ||
		!strings.HasPrefix(got, "…") ||
		!strings.HasSuffix(got, "/orders: 12") {
		t.Errorf("got %q, want an ellipsis and the end of the name in %d characters", got, longestName)
	}
}

func TestSVGHasTheColorsOfLightAndDarkPages(t *testing.T) {
	light, dark, _ := strings.Cut(string(chart().SVG()), "prefers-color-scheme:dark")
	for _, role := range []role{background, series} {
		if !strings.Contains(light, palette[0][role]) || !strings.Contains(dark, palette[1][role]) {
			t.Errorf("the light or the dark color of role %d is missing", role)
		}
	}
}
