package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/gdamore/tcell/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/poolgauge/poolgauge/cmd/sidecar/internal/config"
	"github.com/poolgauge/poolgauge/cmd/sidecar/internal/top"
)

// minEvery is the minimum value of --every. It keeps viewers from overloading the sidecar.
const minEvery = 100 * time.Millisecond

// topCommand returns the top command, which shows the pools of a running sidecar. The address of
// the sidecar's page is the argument or, without an argument, --page-address.
func topCommand(bind settingsBinder) *cobra.Command {
	var every time.Duration
	c := &cobra.Command{
		Use:   "top [address]",
		Short: "Show the pools of a running sidecar in a terminal, as htop shows processes",
		Long: "The address is that of the sidecar's page. If standard output is not a\n" +
			"terminal, the pools are printed once. F1 lists the keys.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{fmt.Errorf("top takes at most one address, got %q", args)}
			}
			return nil
		},
	}
	c.Flags().DurationVar(&every, "every", 2*time.Second, "`DURATION`: how often to update")
	return bind(c, func(c *cobra.Command, s *config.Settings) error {
		address := s.PageAddress
		if c.Flags().NArg() == 1 {
			address = c.Flags().Arg(0)
		}
		return runTop(c, address, every)
	}, "config", "page-address")
}

func runTop(c *cobra.Command, address string, every time.Duration) error {
	if address == "" {
		return usageError{
			errors.New("--page-address is off: expected the address of a running sidecar's page as an argument"),
		}
	}
	if every < minEvery {
		return usageError{fmt.Errorf("--every=%v: expected at least %v", every, minEvery)}
	}
	client, err := top.NewClient(address)
	if err != nil {
		return usageError{err}
	}
	defer client.Close()
	out, ok := c.OutOrStdout().(*os.File)
	if !ok || !term.IsTerminal(int(out.Fd())) {
		return top.Print(c.Context(), c.OutOrStdout(), client)
	}
	screen, err := tcell.NewScreen()
	if err != nil {
		return fmt.Errorf("cannot open the terminal: %w", err)
	}
	return top.Run(c.Context(), screen, client, every)
}
