package sizing

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func known() SweepResult {
	return SweepResult{
		Curve: []SweepPoint{{1, 99.8, 0.01, 3}, {2, 198, 0.01, 6}, {4, 395, 0.02, 6}, {8, 398, 0.004, 6}},
		Knee:  4, Low: 4, High: 5, Confidence: 0.97, Clear: true, Rounds: 6,
	}
}

func TestSentenceSaysHowTheSweepEnded(t *testing.T) {
	rising := known()
	rising.Rising, rising.Clear, rising.Knee = true, false, 8
	failing := rising
	failing.FailedAt, failing.FailedWith = 16, errors.New("connection refused")
	early := known()
	early.Clear = false
	for name, c := range map[string]struct {
		result SweepResult
		want   []string
	}{
		"clear":   {known(), []string{"4 workers do 395 tasks/s, 99%", "(398 with 8)", "only wait for each other", "97%", "4 to 5."}},
		"rising":  {rising, []string{"8 workers do 398", "larger than those measured"}},
		"failing": {failing, []string{"tasks fail with 16 workers (connection refused)"}},
		"early":   {early, []string{"ended before this was clear"}},
		"none":    {SweepResult{}, []string{"Nothing has been measured."}},
	} {
		for _, want := range c.want {
			if !strings.Contains(c.result.String(), want) {
				t.Errorf("%s: got %q, want it to contain %q", name, c.result, want)
			}
		}
	}
}

func TestCurveIsAtMost80ColumnsWide(t *testing.T) {
	r := known()
	r.Curve = append(r.Curve, SweepPoint{1024, 123456789, 0.123, 9})
	var b strings.Builder
	if err := r.WriteCurve(&b); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	for _, line := range lines[:len(r.Curve)+1] {
		if utf8.RuneCountInString(line) > 80 {
			t.Errorf("got a line of %d columns, want at most 80: %s", utf8.RuneCountInString(line), line)
		}
	}
	if marks := strings.Count(b.String(), "◀"); marks != 1 || !strings.Contains(lines[3], "◀") {
		t.Errorf("got %d marks, want one at 4 workers:\n%s", marks, b.String())
	}
	if err := (SweepResult{}).WriteCurve(&b); err != nil {
		t.Error(err)
	}
}
