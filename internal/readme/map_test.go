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
	"unicode"
)

var (
	code = regexp.MustCompile("`([^`]+)`")
	step = regexp.MustCompile(`(?m)^\d+\. `)
)

// The map at the top of CONTRIBUTING.md answers each question with files that exist, and with
// functions and types that these files declare. The same holds for each line of its call trees.
func TestContributingMapIsAccurate(t *testing.T) {
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
		if question := strings.TrimSpace(cells[1]); checkAnswer(t, question, cells[2]) == 0 {
			t.Errorf("%s: the answer %q names no file", question, cells[2])
		}
	}
	if questions < 10 {
		t.Errorf("the map answers %d questions, want 10 or more", questions)
	}
	checkCalls(t, section)
}

// call is a line of a call tree: a function, its file, and a remark.
type call struct {
	depth              int
	name, file, remark string
}

// checkCalls checks the call trees in section: each function is declared in its file, and the
// function above it that is less indented contains its name or, for calls through a function value,
// a word of the remark.
func checkCalls(t *testing.T, section string) {
	t.Helper()
	var above []call
	steps := 0
	for line := range strings.Lines(section) {
		fields := strings.Fields(line)
		if len(fields) < 2 || path.Ext(fields[1]) != ".go" {
			above = nil
			continue
		}
		steps++
		c := call{len(line) - len(strings.TrimLeft(line, " ")), fields[0], fields[1], strings.Join(fields[2:], " ")}
		checkAnswer(t, c.name, "`"+c.name+"` `"+c.file+"`")
		for len(above) > 0 && above[len(above)-1].depth >= c.depth {
			above = above[:len(above)-1]
		}
		if len(above) > 0 && !mentions(t, above[len(above)-1], c) {
			t.Errorf("%s does not call %s", above[len(above)-1].name, c.name)
		}
		above = append(above, c)
	}
	if steps < 20 {
		t.Errorf("the map's call trees have %d steps, want 20 or more", steps)
	}
}

// mentions reports whether the function of caller contains the name of c's function, or a name from
// c's remark.
func mentions(t *testing.T, caller, c call) (found bool) {
	t.Helper()
	names := map[string]bool{strings.ToLower(c.name[strings.LastIndex(c.name, ".")+1:]): true}
	for name := range strings.FieldsFuncSeq(c.remark, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) }) {
		names[strings.ToLower(name)] = true
	}
	ast.Inspect(parse(t, caller.file), func(n ast.Node) bool {
		f, ok := n.(*ast.FuncDecl)
		if !ok || receiver(f)+f.Name.Name != caller.name {
			return true
		}
		ast.Inspect(f.Body, func(n ast.Node) bool {
			id, ok := n.(*ast.Ident)
			found = found || ok && names[strings.ToLower(id.Name)]
			return !found
		})
		return false
	})
	return found
}

// The steps of "Add a metric" and of similar sections name files that exist, and identifiers that
// the files named in the same step declare.
func TestContributingStepsAreAccurate(t *testing.T) {
	sections := strings.Split(read(t, "CONTRIBUTING.md"), "\n## Add a ")[1:]
	if len(sections) < 6 {
		t.Fatalf("CONTRIBUTING.md says how to add %d things, want 6 or more", len(sections))
	}
	for _, section := range sections {
		section, _, _ = strings.Cut(section, "\n## ")
		title, text, _ := strings.Cut(section, "\n")
		files := 0
		for _, s := range step.Split(text, -1)[1:] {
			files += checkAnswer(t, "Add a "+title, s)
		}
		if files == 0 {
			t.Errorf("Add a %s: no step names a file", title)
		}
	}
}

// checkAnswer checks an answer and returns how many files it names. Code that contains a space is a
// command, and is not checked.
func checkAnswer(t *testing.T, question, answer string) (files int) {
	t.Helper()
	declared := map[string]bool{}
	var names []string
	for _, c := range code.FindAllStringSubmatch(answer, -1) {
		if strings.Contains(c[1], " ") {
			continue
		}
		if !strings.Contains(c[1], "/") {
			names = append(names, c[1])
			continue
		}
		files++
		if _, err := os.Stat(filepath.Join(root, c[1])); err != nil {
			t.Errorf("%s: %v", question, err)
		} else if path.Ext(c[1]) == ".go" {
			addDeclarations(t, c[1], declared)
		}
	}
	for _, name := range names {
		if !declared[name] {
			t.Errorf("%s: no file that the answer names declares %s", question, name)
		}
	}
	return files
}

func parse(t *testing.T, name string) *ast.File {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, name), nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// addDeclarations adds the names that a file declares to the set declared: functions, types,
// variables and constants, and methods and fields as Type.Name.
func addDeclarations(t *testing.T, name string, declared map[string]bool) {
	t.Helper()
	for _, d := range parse(t, name).Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			declared[receiver(d)+d.Name.Name] = true
		case *ast.GenDecl:
			for _, s := range d.Specs {
				addSpec(s, declared)
			}
		}
	}
}

// receiver returns the name of a method's receiver type followed by a dot, or "" for a function.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	typ := d.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if generic, ok := typ.(*ast.IndexExpr); ok {
		typ = generic.X
	}
	if ident, ok := typ.(*ast.Ident); ok {
		return ident.Name + "."
	}
	return ""
}

// addSpec adds the names that s declares to the set declared.
func addSpec(s ast.Spec, declared map[string]bool) {
	switch s := s.(type) {
	case *ast.ValueSpec:
		for _, n := range s.Names {
			declared[n.Name] = true
		}
	case *ast.TypeSpec:
		declared[s.Name.Name] = true
		var members *ast.FieldList
		switch typ := s.Type.(type) {
		case *ast.StructType:
			members = typ.Fields
		case *ast.InterfaceType:
			members = typ.Methods
		default:
			return
		}
		for _, m := range members.List {
			for _, n := range m.Names {
				declared[s.Name.Name+"."+n.Name] = true
			}
		}
	}
}
