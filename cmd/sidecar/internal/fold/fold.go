// Package fold breaks text into lines of limited width.
package fold

import (
	"strings"
	"unicode/utf8"
)

// Text breaks text at spaces into lines, and puts indent before each line. A line is wider than
// width only if a single word is.
func Text(text string, width int, indent string) string {
	var b strings.Builder
	column := 0
	for word := range strings.FieldsSeq(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case column == 0:
			b.WriteString(indent)
			column = len(indent)
		case column+1+n > width:
			b.WriteString("\n" + indent)
			column = len(indent)
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String()
}
