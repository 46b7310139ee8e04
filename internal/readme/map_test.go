//go:build unix

package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var code = regexp.MustCompile("`([^`]+)`")

// The map at the top of CONTRIBUTING.md answers each question with files that exist, and with
// functions and types that one of these files declares.
func TestTheMapOfTheHouseIsRight(t *testing.T) {
	_, after, found := strings.Cut(read(t, "CONTRIBUTING.md"), "\n## The map\n")
	if !found {
		t.Fatal("CONTRIBUTING.md has no map")
	}
	section, _, _ := strings.Cut(after, "\n## ")
	questions := 0
	for row := range strings.Lines(section) {
		cells := strings.Split(row, "|")
		if len(cells) != 4 || !strings.Contains(cells[1], "?") {
			continue
		}
		questions++
		checkAnswer(t, strings.TrimSpace(cells[1]), cells[2])
	}
	if questions < 10 {
		t.Errorf("the map answers %d questions, want 10 or more", questions)
	}
}

func checkAnswer(t *testing.T, question, answer string) {
	t.Helper()
	declared, files := map[string]bool{}, 0
	var names []string
	for _, c := range code.FindAllStringSubmatch(answer, -1) {
		if !strings.Contains(c[1], "/") {
			names = append(names, c[1])
			continue
		}
		files++
		if _, err := os.Stat(filepath.Join(root, c[1])); err != nil {
			t.Errorf("%s: %v", question, err)
		} else if path.Ext(c[1]) == ".go" {
			declarations(t, c[1], declared)
		}
	}
	if files == 0 {
		t.Errorf("%s: no file in the answer %q", question, answer)
	}
	for _, name := range names {
		if !declared[name] {
			t.Errorf("%s: no file of the answer declares %s", question, name)
		}
	}
}

// declarations adds the declarations of a file: functions, methods as Type.Method, and types.
func declarations(t *testing.T, name string, to map[string]bool) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, name), nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				to[d.Name.Name] = true
				continue
			}
			receiver := d.Recv.List[0].Type
			if star, ok := receiver.(*ast.StarExpr); ok {
				receiver = star.X
			}
			if generic, ok := receiver.(*ast.IndexExpr); ok {
				receiver = generic.X
			}
			if of, ok := receiver.(*ast.Ident); ok {
				to[of.Name+"."+d.Name.Name] = true
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				if typ, ok := s.(*ast.TypeSpec); ok {
					to[typ.Name.Name] = true
				}
			}
		}
	}
}
