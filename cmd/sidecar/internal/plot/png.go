package plot

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"math"

	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/font/inconsolata"
)

// PNG returns the chart as a PNG image, for a light or a dark page.
func (c Chart) PNG(dark bool) ([]byte, error) {
	p := &raster{image.NewRGBA(image.Rect(0, 0, width, c.height())), palette[0]}
	if dark {
		p.colors = palette[1]
	}
	back := parseColor(p.colors[background])
	for i := 0; i < len(p.Pix); i += 4 {
		copy(p.Pix[i:], []uint8{back.R, back.G, back.B, back.A})
	}
	if !c.Empty() {
		c.draw(p)
	}
	return encode(p.RGBA)
}

// encode encodes m, which must be opaque, as PNG. It replaces image/png, which would also add a
// decoder to the binary.
func encode(m *image.RGBA) ([]byte, error) {
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	row := make([]byte, 1, 1+3*m.Rect.Dx()) // 0: no filter
	for at := 0; at < len(m.Pix); at += m.Stride {
		row = row[:1]
		for x := at; x < at+m.Stride; x += 4 {
			row = append(row, m.Pix[x:x+3]...)
		}
		if _, err := z.Write(row); err != nil {
			return nil, err
		}
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	const depth, rgb = 8, 2
	head := binary.BigEndian.AppendUint32(nil, uint32(m.Rect.Dx()))
	head = append(binary.BigEndian.AppendUint32(head, uint32(m.Rect.Dy())), depth, rgb, 0, 0, 0)
	out := chunk([]byte("\x89PNG\r\n\x1a\n"), "IHDR", head)
	return chunk(chunk(out, "IDAT", packed.Bytes()), "IEND", nil), nil
}

func chunk(to []byte, name string, data []byte) []byte {
	to = binary.BigEndian.AppendUint32(to, uint32(len(data)))
	start := len(to)
	to = append(append(to, name...), data...)
	return binary.BigEndian.AppendUint32(to, crc32.ChecksumIEEE(to[start:]))
}

type raster struct {
	*image.RGBA
	colors []string
}

// cover blends the color of r into the pixels of part, weighted by the function share at each
// pixel's center. A share of 0 or less leaves a pixel as it is; a share of 1 or more replaces its
// color.
func (p *raster) cover(r role, part image.Rectangle, share func(x, y float64) float64) {
	to := parseColor(p.colors[r])
	part = part.Intersect(p.Bounds())
	for y := part.Min.Y; y < part.Max.Y; y++ {
		for x := part.Min.X; x < part.Max.X; x++ {
			s := min(1, max(0, share(float64(x)+0.5, float64(y)+0.5)))
			if s == 0 {
				continue
			}
			from := p.RGBAAt(x, y)
			blend := func(a, b uint8) uint8 { return uint8(math.Round(float64(a) + s*(float64(b)-float64(a)))) }
			p.SetRGBA(x, y, color.RGBA{blend(from.R, to.R), blend(from.G, to.G), blend(from.B, to.B), 0xff})
		}
	}
}

// parseColor parses a color such as #1f2328, with lowercase digits.
func parseColor(text string) color.RGBA {
	digit := func(i int) uint8 {
		if c := text[i]; c >= 'a' {
			return c - 'a' + 10
		}
		return text[i] - '0'
	}
	return color.RGBA{digit(1)<<4 | digit(2), digit(3)<<4 | digit(4), digit(5)<<4 | digit(6), 0xff}
}

// stroke draws line segments with round ends. Their edges are antialiased: the color fades out
// within half a pixel of the edge.
func (p *raster) stroke(r role, width float64, points ...Point) {
	for i := range points[:len(points)-1] {
		a, b := points[i], points[i+1]
		reach := width/2 + 0.5
		part := image.Rect(
			int(min(a.X, b.X)-reach),
			int(min(a.Y, b.Y)-reach),
			int(max(a.X, b.X)+reach)+1,
			int(max(a.Y, b.Y)+reach)+1,
		)
		length := math.Hypot(b.X-a.X, b.Y-a.Y)
		p.cover(r, part, func(x, y float64) float64 {
			along := 0.0 // position of the nearest point of the segment, from 0 to 1
			if length > 0 {
				along = min(1, max(0, ((x-a.X)*(b.X-a.X)+(y-a.Y)*(b.Y-a.Y))/length/length))
			}
			return reach - math.Hypot(x-a.X-along*(b.X-a.X), y-a.Y-along*(b.Y-a.Y))
		})
	}
}

func (p *raster) dot(r role, at Point, radius float64) { p.stroke(r, 2*radius, at, at) }

// text draws characters from a bitmap font of fixed width. It draws bold characters twice, one
// pixel apart, so that no second font is needed.
func (p *raster) text(at Point, anchor anchor, bold bool, text string) {
	font := inconsolata.Regular8x16
	runes := []rune(text)
	x := int(math.Round(at.X)) - len(runes)*font.Advance*int(anchor)/2
	y := int(math.Round(at.Y)) - font.Ascent
	for _, c := range runes {
		from := glyph(font, c) * (font.Ascent + font.Descent)
		for shift := range 2 {
			if shift == 1 && !bold {
				break
			}
			part := image.Rect(0, 0, font.Width, font.Ascent+font.Descent).Add(image.Pt(x+font.Left+shift, y))
			p.cover(foreground, part, func(px, py float64) float64 {
				_, _, _, a := font.Mask.At(int(px)-part.Min.X, from+int(py)-part.Min.Y).RGBA()
				return float64(a) / 0xffff
			})
		}
		x += font.Advance
	}
}

// glyph returns the index of c in font, or that of a replacement character if font lacks c.
func glyph(font *basicfont.Face, c rune) int {
	for _, want := range []rune{c, '\uFFFD', '?'} {
		for _, r := range font.Ranges {
			if r.Low <= want && want < r.High {
				return r.Offset + int(want-r.Low)
			}
		}
	}
	return 0
}
