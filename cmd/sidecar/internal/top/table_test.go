package top

import (
	"strings"
	"testing"
)

func TestAVerdictMayHaveNoEvidenceAndEvidenceNoVerdict(t *testing.T) {
	s := shown(picture())
	s.picture.Pools[0].Evidence = nil
	expect(t, text(s, 80, 24, noon), "downstream slow\n")
	s = shown(picture())
	s.picture.Pools[0].Verdict = ""
	if got := text(s, 80, 24, noon); strings.Contains(got, "times its baseline") {
		t.Errorf("it shows evidence for no verdict:\n%s", got)
	}
}
