//go:build unix

package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// block is a fenced code block to be executed.
type block struct {
	line   int  // line number of the opening fence, from 1
	serve  bool // marked serve rather than run
	script string
}

// blocks returns the blocks of a Markdown document whose opening fence is "```sh run" or "```sh
// serve". It returns an error if such a block is not closed, or if a sh block has any other mark.
// Plain "```sh" blocks are not executed.
func blocks(r io.Reader) ([]block, error) {
	var (
		found []block
		open  *block
		// number of backticks in the fence of the current block, executable or not; 0 outside a
		// block
		fence int
		line  int
	)
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line++
		info := strings.TrimLeft(lines.Text(), "`")
		ticks := len(lines.Text()) - len(info)
		switch {
		case fence == 0 && ticks >= 3:
			var err error
			if open, err = openBlock(info, line); err != nil {
				return nil, err
			}
			fence = ticks
		case fence > 0 && ticks >= fence && info == "":
			if open != nil {
				found = append(found, *open)
			}
			open, fence = nil, 0
		case open != nil:
			open.script += lines.Text() + "\n"
		}
	}
	if open != nil {
		return nil, fmt.Errorf("line %d: block is not closed", open.line)
	}
	return found, lines.Err()
}

// openBlock returns the block that a fence with the given info string opens, or nil if the block is
// not to be executed.
func openBlock(info string, line int) (*block, error) {
	words := strings.Fields(info)
	if len(words) < 2 || words[0] != "sh" {
		return nil, nil
	}
	switch words[1] {
	case "run", "serve":
		return &block{line: line, serve: words[1] == "serve"}, nil
	}
	return nil, fmt.Errorf("line %d: expected run or serve after sh, got %q", line, words[1])
}
