package harness

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Baseline holds the checked-in ratios that new ratios are compared with.
type Baseline struct {
	Machine string                       `json:"machine"`
	Command string                       `json:"command"`
	Ratios  map[string]map[string]Spread `json:"ratios"` // by case, then by peer
}

// Load reads a baseline from the file at path. If the file does not exist, the baseline is empty.
func Load(path string) (Baseline, error) {
	b := Baseline{Ratios: map[string]map[string]Spread{}}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err != nil {
		return b, err
	}
	if err := json.Unmarshal(data, &b); err != nil {
		return b, fmt.Errorf("baseline %s: %w", path, err)
	}
	return b, nil
}

// Save writes the baseline to the file at path.
func (b Baseline) Save(path string) error {
	data, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

// Add replaces the ratios of the cases in results and keeps all others.
func (b Baseline) Add(results []Result) {
	for _, r := range results {
		peers := map[string]Spread{}
		for i, subject := range r.Case.Subjects[1:] {
			if s, ok := r.ratio(i + 1); ok {
				peers[subject.Name] = s
			}
		}
		b.Ratios[r.Case.Name] = peers
	}
}

// Worse returns a line for each ratio in r that exceeds the baseline's by more than the noise of
// both.
func (b Baseline) Worse(r Result) []string {
	var worse []string
	for i, subject := range r.Case.Subjects[1:] {
		now, ok := r.ratio(i + 1)
		if was, known := b.Ratios[r.Case.Name][subject.Name]; ok && known && now.Low > was.High {
			worse = append(worse, fmt.Sprintf("%s: %.2f (%.2f–%.2f) of %s, the baseline is %.2f (%.2f–%.2f)",
				r.Case.Name, now.Median, now.Low, now.High, subject.Name, was.Median, was.Low, was.High))
		}
	}
	return worse
}
