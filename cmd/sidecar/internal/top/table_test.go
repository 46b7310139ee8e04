package top

import (
	"strings"
	"testing"
)

func TestVerdictWithoutEvidenceAndEvidenceWithoutVerdict(t *testing.T) {
	s := stateOf(picture())
	s.picture.Pools[0].Evidence = nil
	expect(t, text(s, 80, 24, noon), "downstream slow\n")
	s = stateOf(picture())
	s.picture.Pools[0].Verdict = ""
	if got := text(s, 80, 24, noon); strings.Contains(got, "times its baseline") {
		t.Errorf("evidence is shown without a verdict:\n%s", got)
	}
}
