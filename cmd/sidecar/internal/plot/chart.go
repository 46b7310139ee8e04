// Package plot draws line charts of benchmark results by number of workers, as SVG and PNG.
package plot

import (
	"cmp"
	"math"
	"slices"
	"strconv"
)

// Chart is a line chart with logarithmic axes.
type Chart struct {
	Title, Note string
	XTitle      string
	Unit        string // unit of Y values, written after each value
	Lines       []Line
}

// Line is one curve of a chart. Only points with positive X and Y are drawn.
type Line struct {
	Name   string
	Points []Point // in increasing order of X
	// Mark is the X at which the curve is highlighted. It need not be the X of a Point. 0 means
	// that the curve is not highlighted.
	Mark float64
}

// Point is a measured value.
type Point struct{ X, Y float64 }

// role is the purpose of a color. Curves use series and the roles after it.
type role int

const (
	background role = iota
	foreground
	faint
	series
)

// palette holds a color for each role, for light and for dark pages. The colors of curves have a
// contrast of at least 3:1.
var palette = [2][]string{
	{"#ffffff", "#1f2328", "#d1d9e0", "#0969da", "#bc4c00", "#1a7f37", "#8250df", "#bf3989", "#9a6700", "#57606a"},
	{"#0d1117", "#f0f6fc", "#30363d", "#58a6ff", "#f0883e", "#3fb950", "#bc8cff", "#f778ba", "#d29922", "#8b949e"},
}

// lineRole returns the role of curve i. Roles repeat if there are more curves than colors.
func lineRole(i int) role { return series + role(i%(len(palette[0])-int(series))) }

// canvas is a drawing surface. Coordinates are in pixels from the top left.
type canvas interface {
	stroke(r role, width float64, points ...Point)
	dot(r role, at Point, radius float64)
	text(at Point, anchor anchor, bold bool, s string) // at is on the text's baseline
}

// anchor specifies which part of a text is placed at the given point.
type anchor int

const (
	start anchor = iota
	middle
	end
)

// The layout, in pixels.
const (
	width       = 900
	minHeight   = 500
	left, top   = 84, 76
	bottom      = 60
	lineHeight  = 20
	columnWidth = 8 // maximum width of a character
	longestName = 36
	maxDoubling = 12 // number of doublings on an axis above which ticks are left out
)

// axis is a logarithmic scale.
type axis struct {
	low, high float64 // base-2 logarithms, rounded to integers
	from, to  float64 // pixels
}

func newAxis(values []float64, from, to float64) axis {
	a := axis{math.Floor(math.Log2(slices.Min(values))), math.Ceil(math.Log2(slices.Max(values))), from, to}
	a.high = max(a.high, a.low+1)
	return a
}

func (a axis) at(v float64) float64 {
	return a.from + (math.Log2(v)-a.low)/(a.high-a.low)*(a.to-a.from)
}

// ticks returns the values at which to draw ticks, which are powers of two.
func (a axis) ticks() []float64 {
	var all []float64
	step := math.Ceil((a.high - a.low) / maxDoubling)
	for e := a.low; e <= a.high; e += step {
		all = append(all, math.Exp2(e))
	}
	return all
}

// Empty reports whether there is nothing to draw.
func (c Chart) Empty() bool {
	xs, _ := c.values()
	return len(xs) == 0
}

func (c Chart) values() (xs, ys []float64) {
	for _, l := range c.Lines {
		for _, p := range l.drawn() {
			xs, ys = append(xs, p.X), append(ys, p.Y)
		}
	}
	return xs, ys
}

// drawn returns the points with positive X and Y, which the axes can show.
func (l Line) drawn() []Point {
	return slices.DeleteFunc(slices.Clone(l.Points), func(p Point) bool {
		return !(p.X > 0 && p.Y > 0) || math.IsInf(p.X, 1) || math.IsInf(p.Y, 1)
	})
}

// height returns the height of the chart, with room for the name of each line.
func (c Chart) height() int { return max(minHeight, top+bottom+lineHeight*len(c.Lines)) }

// draw draws the chart, which must not be empty.
func (c Chart) draw(on canvas) {
	longest := 0
	for _, l := range c.Lines {
		longest = max(longest, len([]rune(short(l.Name))))
	}
	xs, ys := c.values()
	x := newAxis(xs, left, float64(width-longest*columnWidth-42))
	y := newAxis(ys, float64(c.height()-bottom), top)

	on.text(Point{left, 28}, start, true, c.Title)
	on.text(Point{left, 50}, start, false, c.Note)
	on.text(Point{(x.from + x.to) / 2, y.from + 46}, middle, false, c.XTitle)
	for _, v := range y.ticks() {
		on.stroke(faint, 1, Point{x.from, y.at(v)}, Point{x.to, y.at(v)})
		on.text(Point{x.from - 10, y.at(v) + 5}, end, false, number(v)+c.Unit)
	}
	for _, v := range x.ticks() {
		on.stroke(faint, 1, Point{x.at(v), y.from}, Point{x.at(v), y.from + 5})
		on.text(Point{x.at(v), y.from + 23}, middle, false, number(v))
	}
	for i, l := range c.Lines {
		l.draw(on, lineRole(i), x, y)
	}
	c.names(on, x, y)
}

func (l Line) draw(on canvas, r role, x, y axis) {
	points := l.drawn()
	for i, p := range points {
		points[i] = Point{x.at(p.X), y.at(p.Y)}
	}
	if len(points) > 0 {
		on.stroke(r, 2.5, points...)
	}
	for _, p := range points {
		on.dot(r, p, 3)
	}
	if l.Mark > 0 && len(points) > 0 {
		at := along(points, x.at(l.Mark))
		on.dot(r, at, 9)
		on.dot(background, at, 6)
		on.dot(r, at, 3)
	}
}

// along returns the point of a curve at x, interpolating linearly. If x is beyond an end of the
// curve, along returns that end.
func along(points []Point, x float64) Point {
	i, _ := slices.BinarySearchFunc(points, x, func(p Point, x float64) int { return cmp.Compare(p.X, x) })
	if i == 0 {
		return points[0]
	}
	if i == len(points) {
		return points[i-1]
	}
	a, b := points[i-1], points[i]
	return Point{x, a.Y + (x-a.X)/(b.X-a.X)*(b.Y-a.Y)}
}

// names writes the name of each curve next to the curve's end. It keeps names from overlapping.
func (c Chart) names(on canvas, x, y axis) {
	type label struct {
		name    string
		r       role
		end, at float64
	}
	var all []label
	for i, l := range c.Lines {
		if points := l.drawn(); len(points) > 0 {
			at := y.at(points[len(points)-1].Y)
			all = append(all, label{short(l.Name), lineRole(i), at, at})
		}
	}
	slices.SortStableFunc(all, func(a, b label) int { return cmp.Compare(a.at, b.at) })
	for i := range all { // move overlapping names down, and then up again from the bottom
		if i > 0 {
			all[i].at = max(all[i].at, all[i-1].at+lineHeight)
		}
	}
	lowest := y.from
	for i := len(all) - 1; i >= 0; i-- {
		all[i].at = min(all[i].at, lowest)
		lowest = all[i].at - lineHeight
	}
	for _, l := range all {
		on.dot(l.r, Point{x.to + 16, l.at}, 5)
		on.text(Point{x.to + 27, l.at + 5}, start, false, l.name)
	}
}

// short truncates a long name at the front, since its end is the most informative part.
func short(name string) string {
	runes := []rune(name)
	if len(runes) <= longestName {
		return name
	}
	return "…" + string(runes[len(runes)-longestName+1:])
}

// number formats a value in at most eight characters.
func number(v float64) string {
	switch {
	case v >= 1e6:
		return strconv.FormatFloat(v/1e6, 'g', 4, 64) + "M"
	case v >= 1e3:
		return strconv.FormatFloat(v, 'f', 0, 64)
	default:
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
}
