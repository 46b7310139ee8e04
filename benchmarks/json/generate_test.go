package main

import (
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// generator generates nearly valid bodies. Its choices determine their contents.
type generator struct {
	choices []byte
	out     []byte
	depth   int
}

// request returns a body for a message of type d.
func (g *generator) request(d protoreflect.MessageDescriptor) []byte {
	g.message(d)
	if g.rarely() {
		g.oneOf(" ", "\n", "{}", "x", "\x00", "null", "]")
	}
	return g.out
}

// pick returns a number below n, determined by the next choice, or 0 if none is left.
func (g *generator) pick(n int) int {
	if len(g.choices) == 0 {
		return 0
	}
	c := g.choices[0]
	g.choices = g.choices[1:]
	return int(c) % n
}

func (g *generator) oneOf(texts ...string) { g.out = append(g.out, texts[g.pick(len(texts))]...) }

// rarely returns true with a probability of one percent.
func (g *generator) rarely() bool { return g.pick(100) == 99 }

func (g *generator) message(d protoreflect.MessageDescriptor) {
	if g.rarely() {
		g.oneOf("null", "{}", "[]", `"x"`, "1", `{"":null}`, "{ }", "true")
		return
	}
	g.depth++
	g.out = append(g.out, '{')
	fields := d.Fields()
	for n, i := min(1+g.pick(6), len(g.choices)), 0; i < n; i++ {
		if i > 0 {
			g.out = append(g.out, ',')
		}
		if g.rarely() {
			g.oneOf(`"":`, `"future":`, `"name\u0000":`, `"deprecatedScopeSpans":`, `"Name":`)
			g.anything()
			continue
		}
		fd := fields.Get(g.pick(fields.Len()))
		if g.depth > 12 && fd.Kind() == protoreflect.MessageKind {
			fd = fields.Get(0)
		}
		g.key(fd)
		g.oneOf(":", ":", ":", " : ", "\n:\t")
		g.field(fd)
	}
	if g.rarely() {
		g.oneOf(",", "]", "", " ", "\x00", "null", `{"a":1}`)
	}
	g.out = append(g.out, '}')
	g.depth--
}

func (g *generator) key(fd protoreflect.FieldDescriptor) {
	switch g.pick(16) {
	case 13:
		g.out = fmt.Appendf(g.out, "%q", string(fd.Name()))
	case 14:
		g.out = fmt.Appendf(g.out, `"\u%04x%s"`, fd.JSONName()[0], fd.JSONName()[1:])
	case 15:
		g.out = fmt.Appendf(g.out, ` "%s" `, fd.JSONName())
	default:
		g.out = fmt.Appendf(g.out, "%q", fd.JSONName())
	}
}

func (g *generator) field(fd protoreflect.FieldDescriptor) {
	if !fd.IsList() {
		g.value(fd)
		return
	}
	if g.rarely() {
		g.oneOf("null", "[]", "{}", "[[]]", "[,]", "[null]", "3", `["a",]`)
		return
	}
	g.out = append(g.out, '[')
	for n, i := min(g.pick(4), len(g.choices)), 0; i < n; i++ {
		if i > 0 {
			g.out = append(g.out, ',')
		}
		g.value(fd)
	}
	g.out = append(g.out, ']')
}

func (g *generator) value(fd protoreflect.FieldDescriptor) {
	switch {
	case g.rarely():
		g.anything()
		return
	case fd.ContainingOneof() != nil && g.pick(8) == 7:
		g.oneOf("null", "null", "{}")
		return
	}
	switch fd.Kind() {
	case protoreflect.MessageKind:
		g.message(fd.Message())
	case protoreflect.StringKind:
		g.string()
	case protoreflect.BytesKind:
		if digits := map[protoreflect.Name]int{"trace_id": 32, "span_id": 16, "parent_span_id": 16}[fd.Name()]; g.pick(
			8,
		) < 7 {
			g.out = fmt.Appendf(g.out, "\"%0*x\"", digits, g.pick(256)*g.pick(256))
			return
		}
		g.oneOf(
			`"5b8efff798038103d269b633813fc60c"`,
			`"EEE19B7EC3C1B174"`,
			`""`,
			`"AQIDBA=="`,
			`"-_8"`,
			`"+/8="`,
			`"\/w\/\/"`,
			`"00000000000000000000000000000000"`,
			`"0000000000000000"`,
			`"a"`,
			`"zz"`,
			`"A\nB"`,
			`"\u0041A=="`,
			`"=="`,
			`"A-+A"`,
			"null",
			`"5b8efff798038103d269b633813fc60c5b8efff798038103d269b633813fc60c"`,
			`"QUJD\r\nQUJD"`,
		)
	case protoreflect.BoolKind:
		g.oneOf("true", "false", "true", "false", "true", "false", "true", "false", "null", `"true"`, "1", "truE")
	case protoreflect.EnumKind:
		g.enum(fd.Enum())
	case protoreflect.DoubleKind:
		g.double()
	default:
		g.integer()
	}
}

func (g *generator) enum(d protoreflect.EnumDescriptor) {
	switch g.pick(10) {
	case 0, 1, 2, 3, 4:
		g.out = fmt.Appendf(g.out, "%d", g.pick(d.Values().Len()+2))
	case 5, 6, 7, 8:
		g.out = fmt.Appendf(g.out, "%q", d.Values().Get(g.pick(d.Values().Len())).Name())
	default:
		g.oneOf(
			"99",
			"-1",
			"2147483648",
			"-2147483648",
			"5000000000",
			`"1"`,
			`"server"`,
			"null",
			"1.0",
			"0",
			"-0",
			"1e1",
			`""`,
		)
	}
}

func (g *generator) integer() {
	switch g.pick(10) {
	case 0, 1, 2, 3:
		g.out = fmt.Appendf(g.out, "%d", g.pick(256)*g.pick(256))
	case 4, 5, 6, 7:
		g.out = fmt.Appendf(g.out, `"%d"`, g.pick(256)*g.pick(256)*g.pick(256))
	default:
		g.oneOf(
			"0",
			`"0"`,
			"1544712660300000000",
			`"1544712660300000000"`,
			"9223372036854775807",
			"9223372036854775808",
			`"-9223372036854775808"`,
			"-9223372036854775808",
			"-9223372036854775809",
			"18446744073709551615",
			"18446744073709551616",
			`"18446744073709551615"`,
			"30000000000000000000",
			"4294967295",
			"4294967296",
			"5000000000",
			`"4294967296"`,
			"-1",
			`"-1"`,
			`"+1"`,
			`"007"`,
			"007",
			"-0",
			`"-0"`,
			"1.0",
			"1e3",
			`"1.0"`,
			"1E0",
			`""`,
			`" 1"`,
			`"1_0"`,
			"null",
			"-",
			"1.",
			"99999999999999999999999",
			"2147483647",
			"-2147483648",
			"2147483648",
			`"\u0035"`,
			"9999999999999999999",
			`"9999999999999999999"`,
		)
	}
}

func (g *generator) double() {
	switch g.pick(10) {
	case 0, 1, 2, 3:
		g.out = fmt.Appendf(g.out, "%d.%d", g.pick(256)*g.pick(256), g.pick(256)*g.pick(256))
	case 4, 5, 6, 7:
		g.out = fmt.Appendf(g.out, "%d.%de%d", g.pick(256), g.pick(256), g.pick(256)-128)
	default:
		g.oneOf(
			"0",
			"-0",
			"0.0",
			"-0.0",
			"1.5",
			`"1.5"`,
			`"NaN"`,
			`"Infinity"`,
			`"-Infinity"`,
			`"inf"`,
			`"nan"`,
			"NaN",
			"1e308",
			"1e309",
			`"1e309"`,
			"1e-400",
			"9007199254740993",
			"9007199254740992",
			"123456789012345678901234567890",
			"0.1e-7",
			"1e22",
			"1e23",
			"9007199254740991e22",
			"null",
			`""`,
			`"0x1p-2"`,
			`"1_0"`,
			".5",
			"5.",
			"01.5",
			"1e",
			"1e+5",
			"1E-5",
			"-",
			`"\u0031"`,
			"0.30000000000000004",
			"2.2250738585072014e-308",
			"4.9e-324",
			"1e99999999999999999999",
			"17976931348623157e292",
			"-1.5e-3",
		)
	}
}

func (g *generator) string() {
	g.out = append(g.out, '"')
	for n, i := g.pick(8), 0; i < n; i++ {
		g.oneOf(
			"a",
			"service.name",
			"é",
			"😀",
			`\"`,
			`\\`,
			`\/`,
			`\n`,
			`\u00e9`,
			`\ud83d\ude00`,
			`\ud83d`,
			`\ude00`,
			`\ud83d\ud83d\ude00`,
			`\ud83dx`,
			`\ud83d\n`,
			"\xff",
			"\xc3",
			"\xe2\x82",
			"\xed\xa0\xbd",
			`\u0000`,
			"\t",
			"\n",
			`{'`,
			"0123456789abcdef0123456789",
		)
	}
	if g.rarely() {
		g.oneOf(`\u12`, `\x`, `\`, `"`)
	}
	g.out = append(g.out, '"')
}

func (g *generator) anything() {
	g.oneOf(
		"null",
		"true",
		"1",
		`"x"`,
		"[]",
		"{}",
		"[1,[2,{}]]",
		`{"a":{"b":[null,"\n"]}}`,
		"-1.5e3",
		"1e999",
		"0.1e50",
		"tru",
		`{"a":}`,
		"01",
		"-",
		`"\ud83d"`,
		"\"\xff\"",
		`[1,]`,
		"{\"a\":\"\x01\"}",
	)
}
