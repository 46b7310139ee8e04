//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// imports holds the packages that snippets may use, by their names in the snippets.
var imports = map[string]string{
	"context": "context", "fmt": "fmt", "os": "os", "sql": "database/sql", "net": "net", "http": "net/http",
	"sdkmetric":  "go.opentelemetry.io/otel/sdk/metric",
	"instrument": "github.com/poolgauge/poolgauge/instrument",
	"producer":   "github.com/poolgauge/poolgauge/instrument/producer",
	"telemetry":  "github.com/poolgauge/poolgauge/instrument/telemetry",
	"monitor":    "github.com/poolgauge/poolgauge/instrument/monitor",
	"profile":    "github.com/poolgauge/poolgauge/instrument/profile",
	"wrap":       "github.com/poolgauge/poolgauge/instrument/wrap",
	"wraphttp":   "github.com/poolgauge/poolgauge/instrument/wraphttp",
	"wrapsql":    "github.com/poolgauge/poolgauge/instrument/wrapsql",
	"pools":      "github.com/poolgauge/poolgauge/pools",
	"autosize":   "github.com/poolgauge/poolgauge/pools/autosize",
	"sizing":     "github.com/poolgauge/poolgauge/pools/sizing",
}

// given holds the parameters that snippets may use without declaring them.
const given = `ctx context.Context, db *sql.DB, transport *http.Transport, l net.Listener, stats func() instrument.Stats, exporter sdkmetric.Exporter,
	file string, shrink, store func(context.Context, string) error, order string, files []string, load func(string) error, p wrap.Submitter,
	workers *pools.Workers`

var (
	goBlock    = regexp.MustCompile("(?s)\n```go\n(.*?)\n```\n")
	importLine = regexp.MustCompile(`(?m)^import .*\n`)
)

// The Go snippets of README.md and docs compile inside a function with the parameters in the
// constant given.
func TestSnippetsCompile(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	documents, err := filepath.Glob(root + "/docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	dir, replace := t.TempDir(), map[string]string{}
	for _, document := range append(documents, root+"/README.md") {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for i, found := range goBlock.FindAllStringSubmatch(string(text), -1) {
			name := fmt.Sprintf("%s_%d.go", strings.TrimSuffix(filepath.Base(document), ".md"), i)
			source, err := program(importLine.ReplaceAllString(found[1], ""))
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if err := os.WriteFile(filepath.Join(dir, name), source, 0o600); err != nil {
				t.Fatal(err)
			}
			replace[filepath.Join(root, "internal", "readme", "snippets", name)] = filepath.Join(dir, name)
		}
	}
	if len(replace) < 8 {
		t.Errorf("found only %d snippets, want at least 8", len(replace))
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(
		t.Context(),
		"go",
		"build",
		"-overlay",
		filepath.Join(dir, "overlay.json"),
		"./internal/readme/snippets",
	)
	build.Dir = root
	if text, err := build.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
}

// program returns a Go file that wraps a snippet in a function. Each statement gets its own scope,
// nested in that of the previous one, because a list of alternatives declares the same name more
// than once. All declared variables are used.
func program(snippet string) ([]byte, error) {
	const before = "package p\nfunc _() error {\n"
	source := before + snippet + "\nreturn nil\n}\n"
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, "", source, 0)
	if err != nil {
		return nil, err
	}
	body := parsed.Decls[0].(*ast.FuncDecl).Body
	var statements strings.Builder
	for _, s := range body.List[:len(body.List)-1] {
		statements.WriteString(source[files.Position(s.Pos()).Offset:files.Position(s.End()).Offset] + "\n{\n")
		if declared, ok := s.(*ast.AssignStmt); ok && declared.Tok == token.DEFINE {
			for _, name := range declared.Lhs {
				statements.WriteString("_ = " + name.(*ast.Ident).Name + "\n")
			}
		}
	}
	function := "func _(" + given + ") error {\n{\n" + statements.String() + strings.Repeat(
		"}\n",
		len(body.List),
	) + "return nil\n}\n"
	head := "package snippets\n"
	for name, path := range imports {
		if regexp.MustCompile(`\b` + name + `\.`).MatchString(function) {
			head += fmt.Sprintf("import %s %q\n", name, path)
		}
	}
	return format.Source([]byte(head + function))
}
