package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// file is a YAML file of settings. It maps the name of each setting to a scalar or, if the setting
// is repeatable, to a list of scalars.
type file struct {
	path    string
	entries map[string]entry
}

type entry struct {
	line   int
	values []string // one value, or the elements of a list
}

func readFile(path string, known []string) (*file, error) {
	data, err := os.ReadFile(path) //nolint:gosec // the user names the file
	if err != nil {
		return nil, fmt.Errorf("--config: cannot read the file: %w", err)
	}
	return parseFile(path, data, known)
}

func parseFile(path string, data []byte, known []string) (*file, error) {
	f := &file{path: path, entries: map[string]entry{}}
	var document yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	err := decoder.Decode(&document)
	if err == nil && !errors.Is(decoder.Decode(new(yaml.Node)), io.EOF) {
		err = errors.New("expected one YAML document")
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %s", path, strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\n", " "), "yaml: "))
	}
	if document.Kind == 0 {
		return f, nil // empty
	}
	root := document.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s:%d: expected lines of the form \"name: value\"", path, root.Line)
	}
	for i := 0; i < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		if err := f.add(key, value, known); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, key.Line, err)
		}
	}
	return f, nil
}

func (f *file) add(key, value *yaml.Node, known []string) error {
	name := key.Value
	if !slices.Contains(known, name) {
		if near := nearest(name, known); near != "" {
			return fmt.Errorf("unknown key %q, did you mean %q?", name, near)
		}
		return fmt.Errorf("unknown key %q; the keys are the flags in sidecar --help, without the leading --", name)
	}
	if first, duplicate := f.entries[name]; duplicate {
		return fmt.Errorf("duplicate key %q, first defined on line %d", name, first.line)
	}
	values, err := plainValues(value)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	f.entries[name] = entry{line: key.Line, values: values}
	return nil
}

// plainValues returns the value of a scalar, or the values in a list of scalars, as strings.
func plainValues(node *yaml.Node) ([]string, error) {
	elements := []*yaml.Node{node}
	if node.Kind == yaml.SequenceNode {
		elements = node.Content
	}
	var values []string
	for _, element := range elements {
		if element.Kind != yaml.ScalarNode || element.Tag == "!!null" {
			return nil, fmt.Errorf("line %d: expected a plain value or a list of plain values", element.Line)
		}
		values = append(values, element.Value)
	}
	return values, nil
}
