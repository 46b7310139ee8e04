// Command podman prints the pods of a kustomization for `podman kube play -`.
package main

import (
	"fmt"
	"os"

	"sigs.k8s.io/yaml"

	"github.com/poolgauge/poolgauge/e2e/k8s"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: podman DIRECTORY")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "podman:", err)
		os.Exit(1)
	}
}

func run(dir string) error {
	pods, err := k8s.PodmanPods(dir)
	if err != nil {
		return err
	}
	for _, pod := range pods {
		text, err := yaml.Marshal(pod)
		if err != nil {
			return err
		}
		if _, err := fmt.Printf("---\n%s", text); err != nil {
			return err
		}
	}
	return nil
}
