// Command words reports wording that makes a native reader stumble, in the Go, Markdown, YAML and
// shell files of the working tree. It is part of `make lint`.
//
//	go run ./internal/words
//
// Each output line contains the position, the wording found, and what to write instead. The
// suggestion is only a hint: rewrite the sentence rather than replace the word.
package main

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

// phrases lists patterns that must not match in comments, strings, documents and manifests. A blank
// in a pattern matches any white space, so that a phrase is also found across a line break.
var phrases = []struct{ pattern, instead string }{
	{"he|him|his|himself", "it, the caller, the goroutine"},
	{"whoever|whomever|somebody|someone|anybody", "the caller, a client, another process"},
	{"(those|one|everybody|everyone) who (ask|wait|hold|call|come|give|gave|use|take|want)s?", "callers, waiters"},
	{"let(s|ting)? go of", "unlocks, releases"},
	{"in vain", "fails, is abandoned"},
	{"to be had( at once)?", "available; effective parallelism"},
	{"(come|comes|coming|came) to nothing", "fails"},
	{"(stand|stands|standing|stood)( already)? in (line|the line|a line|queue|the queue)", "waits"},
	{"stands already", "is already there, a duplicate"},
	{"mend(s|ed|ing)?", "fix"},
	{"beside a hog", "next to a CPU hog"},
	{"to the letter|the letter of", "drop-in for, exactly as"},
	{"pools that tell", "instrumented pools"},
	{"of more (a|an|it|one)( time)?", "above that rate, one in 32 is sampled"},
	{"never deadlocks silently", "detects self-deadlock"},
	{"a turn in the life", "a lifecycle event"},
	{"what is absent is absent", "unmeasurable values are omitted"},
	{"how it gets out", "exporting"},
	{"twice arrives", "duplicates"},
	{"(take|takes|took) (points|requests|items) again", "accepting again"},
	{"(does|do|did) not take (points|requests|items)", "unreachable, does not accept"},
	{"(refuse|refuses|refused) for good", "permanently rejected"},
	{"(upstream|lane|gateway)s?( that)? (is|are|was|were) (well|away)", "accepts; is unreachable"},
	{"queue's disk fails", "queue storage is failing"},
	{"least level", "minimum level"},
	{"certificates? to show", "client certificate"},
	{"asks? politely", "requests"},
	{"without a word", "silently"},
	{"for want of", "for lack of, without"},
	{"anew", "again"},
	{"thrice", "three times"},
	{"(go|goes) before", "takes precedence over"},
	{"rush|rushes", "overload"},
	{"whereabouts", "attributes, location"},
	{"disown(s|ed)?", "clear, reject"},
	{"doom(s|ed)?", "evict, mark for removal"},
	{"soil(s|ed)?", "mark dirty"},
	{"upkeep", "maintenance"},
	{"nudge(s|d)?", "wake"},
}

// names lists words that must not occur in identifiers, either alone or as a part, such as Rush in
// inRush.
var names = map[string]string{
	"rush": "overload", "unseen": "unsampled", "tend": "maintain", "nudge": "wake", "upkeep": "maintain",
	"expel": "invalidate", "soil": "markDirty", "doom": "evict", "disown": "clearID",
	"whereabouts": "attributes", "lonely": "single",
}

// exceptions lists files, and directories ending with a slash, that may contain listed phrases and
// names.
var exceptions = []string{
	"CHANGELOG.md",    // lists what was renamed
	"internal/words/", // the lists
}

var (
	patterns  = compiled()
	camelCase = regexp.MustCompile(`[A-Z]+[a-z0-9]*|[a-z0-9]+`)
)

func compiled() []*regexp.Regexp {
	var all []*regexp.Regexp
	for _, p := range phrases {
		all = append(all, regexp.MustCompile(`(?i)\b(?:`+strings.ReplaceAll(p.pattern, " ", `[\s/#*]+`)+`)\b`))
	}
	return all
}

func main() {
	found, err := findInTree(context.Background(), ".")
	for _, f := range found {
		fmt.Println(f)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "words:", err)
	}
	if err != nil || len(found) > 0 {
		os.Exit(1)
	}
}

// find returns one line for each finding in the file called name, in the file's order.
func find(name string, content []byte) []string {
	var found []finding
	text := content
	if strings.HasSuffix(name, ".go") {
		var identifiers []finding
		text, identifiers = goProse(content)
		found = append(found, identifiers...)
	}
	for i, p := range patterns {
		for _, at := range p.FindAllIndex(text, -1) {
			phrase := strings.Join(strings.Fields(string(text[at[0]:at[1]])), " ")
			found = append(found, finding{at[0], phrase, phrases[i].instead})
		}
	}
	slices.SortStableFunc(found, func(a, b finding) int { return a.offset - b.offset })
	var lines []string
	for _, f := range found {
		line := 1 + strings.Count(string(content[:f.offset]), "\n")
		lines = append(lines, fmt.Sprintf("%s:%d: %q: %s", name, line, f.text, f.instead))
	}
	return lines
}

// finding is a listed word or phrase at an offset in a file.
type finding struct {
	offset        int
	text, instead string
}
