package main

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// node is a JSON value as decoded by encoding/json. It preserves the order of keys, and duplicate
// keys.
type node struct {
	kind    byte   // n for null, t for true, f for false, 0 for a number, " for a string, { or [
	text    string // the value of a number or a string
	members []member
}

type member struct {
	key   string // empty in a list
	value *node
}

// parse returns nil if body is not a single JSON value (RFC 8259). Unlike the RFC, it accepts
// control characters in strings, and bytes and surrogates that are not Unicode.
func parse(body []byte) *node {
	body = escapeControls(body)
	if !json.Valid(body) {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	n, err := read(d)
	if err != nil {
		panic(err) // the JSON is valid
	}
	return n
}

func escapeControls(body []byte) []byte {
	var out []byte
	inside, escaped := false, false
	for _, c := range body {
		switch {
		case inside && c < ' ' && !escaped:
			out = fmt.Appendf(out, `\u%04x`, c)
			continue
		case c == '"' && !escaped:
			inside = !inside
		}
		escaped = inside && c == '\\' && !escaped
		out = append(out, c)
	}
	return out
}

func read(d *json.Decoder) (*node, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch v := token.(type) {
	case nil:
		return &node{kind: 'n'}, nil
	case bool:
		return &node{kind: map[bool]byte{false: 'f', true: 't'}[v]}, nil
	case json.Number:
		return &node{kind: '0', text: v.String()}, nil
	case string:
		return &node{kind: '"', text: v}, nil
	case json.Delim:
		n := &node{kind: byte(v)}
		for d.More() {
			var m member
			if v == '{' {
				key, err := d.Token()
				if err != nil {
					return nil, err
				}
				m.key = key.(string)
			}
			if m.value, err = read(d); err != nil {
				return nil, err
			}
			n.members = append(n.members, m)
		}
		_, err := d.Token()
		return n, err
	}
	return nil, fmt.Errorf("unexpected %T", token)
}

func (n *node) depth() int {
	if n.kind != '{' && n.kind != '[' {
		return 0
	}
	deepest := 0
	for _, m := range n.members {
		deepest = max(deepest, m.value.depth())
	}
	return deepest + 1
}

// append appends n as JSON, without white space and with only the necessary escapes.
func (n *node) append(out []byte) []byte {
	switch n.kind {
	case 'n':
		return append(out, "null"...)
	case 't':
		return append(out, "true"...)
	case 'f':
		return append(out, "false"...)
	case '0':
		return append(out, n.text...)
	case '"':
		return appendString(out, n.text)
	}
	out = append(out, n.kind)
	for i, m := range n.members {
		if i > 0 {
			out = append(out, ',')
		}
		if n.kind == '{' {
			out = append(appendString(out, m.key), ':')
		}
		out = m.value.append(out)
	}
	return append(out, n.kind+2) // in ASCII, the closing bracket is the opening one plus 2
}

func appendString(out []byte, s string) []byte {
	out = append(out, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			out = append(out, '\\', byte(r))
		case r < ' ':
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			out = append(out, string(r)...)
		}
	}
	return append(out, '"')
}
