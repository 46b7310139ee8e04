//go:build unix

package main

import (
	"reflect"
	"strings"
	"testing"
)

func TestBlocks(t *testing.T) {
	for name, test := range map[string]struct {
		document string
		want     []block
		err      string
	}{
		"no blocks":   {document: "text\n"},
		"plain shell": {document: "```sh\nfalse\n```\n"},
		"not shell":   {document: "```go run\nfalse\n```\n"},
		"run":         {document: "text\n```sh run\na\nb\n```\ntext\n", want: []block{{line: 2, script: "a\nb\n"}}},
		"serve":       {document: "```sh serve\na\n```\n", want: []block{{line: 1, serve: true, script: "a\n"}}},
		"after a plain block": {
			document: "```\n```\n```sh run\na\n```\n",
			want:     []block{{line: 3, script: "a\n"}},
		},
		"quoted": {document: "````md\n```sh run\nfalse\n```\n````\n"},
		"backticks inside": {
			document: "````sh run\n```\na\n```\n````\n",
			want:     []block{{line: 1, script: "```\na\n```\n"}},
		},
		"unknown mark": {document: "\n```sh runs\n```\n", err: `line 2: expected run or serve after sh, got "runs"`},
		"not closed":   {document: "```sh run\na\n", err: "line 1: block is not closed"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := blocks(strings.NewReader(test.document))
			switch {
			case test.err == "" && err != nil:
				t.Fatal(err)
			case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
				t.Fatalf("got error %v, want %s", err, test.err)
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func FuzzBlocks(f *testing.F) {
	f.Add("```sh run\nx\n```\n")
	f.Add("```sh serve\n```\n```\n```sh x\n")
	f.Fuzz(func(t *testing.T, document string) {
		found, err := blocks(strings.NewReader(document))
		if err != nil {
			return
		}
		for _, b := range found {
			if !strings.Contains(document+"\n", b.script) && !strings.Contains(document, "\r\n") {
				t.Errorf("script %q is not part of the document", b.script)
			}
		}
	})
}
