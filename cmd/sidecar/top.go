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

// leastEvery keeps a viewer from being a load.
const leastEvery = 100 * time.Millisecond

// topCommand shows what a running sidecar knows in a terminal. It is asked at --page-address,
// unless an argument says where.
func topCommand(
	withSettings func(func(*cobra.Command, *config.Settings) error) func(*cobra.Command, []string) error,
) *cobra.Command {
	var every time.Duration
	var address string
	c := &cobra.Command{
		Use:   "top [address]",
		Short: "Show the pools of a running sidecar in a terminal, as htop shows processes",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{fmt.Errorf("top takes one address, got %q", args)}
			}
			if len(args) == 1 {
				address = args[0]
			}
			return nil
		},
	}
	c.RunE = withSettings(func(c *cobra.Command, s *config.Settings) error {
		if address == "" {
			address = s.PageAddress
		}
		return runTop(c, address, every)
	})
	set := c.Flags()
	set.DurationVar(&every, "every", 2*time.Second, "how often to ask")
	c.SetHelpFunc(func(c *cobra.Command, _ []string) {
		fmt.Fprintf(
			c.OutOrStdout(),
			"%s\n\nUsage:\n  %s\n\nThe address is that of the sidecar's page: --page-address, if none is given. "+
				"Where the output\nis no terminal, what is known is printed once. F1 lists the keys.\n\n%s",
			c.Short,
			c.UseLine(),
			c.LocalNonPersistentFlags().FlagUsages(),
		)
	})
	return c
}

func runTop(c *cobra.Command, address string, every time.Duration) error {
	if address == "" {
		return usageError{
			errors.New("--page-address is off: expected the address of a running sidecar's page as an argument"),
		}
	}
	if every < leastEvery {
		return usageError{fmt.Errorf("--every=%v: expected at least %v", every, leastEvery)}
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
		return fmt.Errorf("the terminal: %w", err)
	}
	return top.Run(c.Context(), screen, client, every)
}
