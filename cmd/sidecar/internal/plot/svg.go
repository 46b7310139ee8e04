package plot

import (
	"bytes"
	"encoding/xml"
	"fmt"
)

// SVG returns the chart as SVG. The image follows the reader's preference for light or dark pages,
// and refers to no other resources.
func (c Chart) SVG() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" class="plot">`+"\n",
		width, c.height())
	fmt.Fprintf(&b, "<title>%s</title>\n<style>\n", escaped(c.Title))
	b.WriteString(".plot text{font:15px system-ui,sans-serif;stroke:none}\n")
	b.WriteString(".plot polyline{fill:none;stroke-linejoin:round;stroke-linecap:round}\n")
	writeColors(&b, palette[0])
	b.WriteString("@media (prefers-color-scheme:dark){\n")
	writeColors(&b, palette[1])
	b.WriteString("}\n</style>\n")
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" class="f%d"/>`+"\n", background)
	if !c.Empty() {
		c.draw(&svg{&b})
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// writeColors writes the CSS classes of the roles, with their colors.
func writeColors(b *bytes.Buffer, colors []string) {
	for r, color := range colors {
		fmt.Fprintf(b, ".plot .s%d{stroke:%s}.plot .f%d{fill:%s}\n", r, color, r, color)
	}
}

type svg struct{ *bytes.Buffer }

func (s *svg) stroke(r role, width float64, points ...Point) {
	fmt.Fprintf(s, `<polyline class="s%d" stroke-width="%g" points="`, r, width)
	for _, p := range points {
		fmt.Fprintf(s, "%.1f,%.1f ", p.X, p.Y)
	}
	s.WriteString(`"/>` + "\n")
}

func (s *svg) dot(r role, at Point, radius float64) {
	fmt.Fprintf(s, `<circle class="f%d" cx="%.1f" cy="%.1f" r="%g"/>`+"\n", r, at.X, at.Y, radius)
}

func (s *svg) text(at Point, anchor anchor, bold bool, text string) {
	weight := ""
	if bold {
		weight = ` font-weight="700" style="font-size:17px"`
	}
	fmt.Fprintf(s, `<text class="f%d" x="%.1f" y="%.1f" text-anchor="%s"%s>%s</text>`+"\n",
		foreground, at.X, at.Y, [...]string{"start", "middle", "end"}[anchor], weight, escaped(text))
}

func escaped(text string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(text)) // writing to a buffer never fails
	return b.String()
}
