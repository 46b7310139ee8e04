package plot

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"

	"golang.org/x/image/font"
	"golang.org/x/image/font/inconsolata"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
)

// PNG returns the chart as an image, for a light or a dark page.
func (c Chart) PNG(dark bool) ([]byte, error) {
	p := &raster{Image: image.NewRGBA(image.Rect(0, 0, width, c.height())), colors: palette[0]}
	if dark {
		p.colors = palette[1]
	}
	draw.Draw(p.Image, p.Image.Bounds(), p.color(background), image.Point{}, draw.Src)
	if !c.Empty() {
		c.draw(p)
	}
	var b bytes.Buffer
	err := png.Encode(&b, p.Image)
	return b.Bytes(), err
}

type raster struct {
	Image  draw.Image
	colors []string
}

func (p *raster) color(r role) image.Image {
	hex := func(i int) uint8 {
		digit := func(c byte) uint8 {
			if c >= 'a' {
				return c - 'a' + 10
			}
			return c - '0'
		}
		return digit(p.colors[r][i])<<4 | digit(p.colors[r][i+1])
	}
	return image.NewUniform(color.RGBA{hex(1), hex(3), hex(5), 0xff})
}

// fill fills polygons. Where they overlap, all must turn the same way.
func (p *raster) fill(r role, polygons ...[]Point) {
	low, high := Point{math.Inf(1), math.Inf(1)}, Point{}
	for _, points := range polygons {
		for _, at := range points {
			low = Point{min(low.X, math.Floor(at.X)), min(low.Y, math.Floor(at.Y))}
			high = Point{max(high.X, math.Ceil(at.X)), max(high.Y, math.Ceil(at.Y))}
		}
	}
	bounds := image.Rect(int(low.X), int(low.Y), int(high.X), int(high.Y))
	z := vector.NewRasterizer(bounds.Dx(), bounds.Dy()) // what lies around them need not be looked at
	for _, points := range polygons {
		for i, at := range points {
			x, y := float32(at.X-low.X), float32(at.Y-low.Y)
			if i == 0 {
				z.MoveTo(x, y)
			} else {
				z.LineTo(x, y)
			}
		}
		z.ClosePath()
	}
	z.Draw(p.Image, bounds, p.color(r), image.Point{})
}

// stroke joins rectangles, one a segment, by disks.
func (p *raster) stroke(r role, width float64, points ...Point) {
	var polygons [][]Point
	for i, b := range points {
		polygons = append(polygons, disk(b, width/2))
		if i == 0 {
			continue
		}
		a := points[i-1]
		length := math.Hypot(b.X-a.X, b.Y-a.Y)
		if length == 0 {
			continue
		}
		nx, ny := (b.Y-a.Y)/length*width/2, (a.X-b.X)/length*width/2
		polygons = append(polygons,
			[]Point{{a.X + nx, a.Y + ny}, {b.X + nx, b.Y + ny}, {b.X - nx, b.Y - ny}, {a.X - nx, a.Y - ny}})
	}
	p.fill(r, polygons...)
}

func (p *raster) dot(r role, at Point, radius float64) { p.fill(r, disk(at, radius)) }

// disk is a circle as a polygon.
func disk(at Point, radius float64) []Point {
	const corners = 24
	points := make([]Point, corners)
	for i := range points {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / corners)
		points[i] = Point{at.X + radius*cos, at.Y + radius*sin}
	}
	return points
}

func (p *raster) text(at Point, anchor anchor, bold bool, text string) {
	d := font.Drawer{Dst: p.Image, Src: p.color(foreground), Face: inconsolata.Regular8x16}
	shift := d.MeasureString(text).Round() * int(anchor) / 2
	d.Dot = fixed.P(int(math.Round(at.X))-shift, int(math.Round(at.Y))) // glyphs are bitmaps: whole pixels
	again := d
	d.DrawString(text)
	if bold { // a second font would cost more
		again.Dot.X += fixed.I(1)
		again.DrawString(text)
	}
}
