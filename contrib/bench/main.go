// Command bench measures faultline as its users meet it, whole processes, and prints
// a table: each figure beside its floor or peer, measured in the same run on the same
// machine, and beside the goal. It asserts nothing: machines differ and are noisy, the
// ratios are what to look at.
//
//	go run ./contrib/bench -bin bin
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"
)

// row is a line of the table.
type row struct {
	what     string
	measured string
	beside   string // the floor or the peer
	goal     string
}

func main() {
	bin := flag.String("bin", "bin", "folder of the built binaries")
	client := flag.String("client", "", "internal: send requests to this URL, as the peer of the probe")
	hour := flag.String("hour", "", "only write the journal of an hour into this state folder")
	flag.Parse()
	if *hour != "" {
		dir, samples, err := writeHour(*hour)
		fmt.Println(dir, samples, err)
		return
	}
	if *client != "" {
		bareClient(*client)
		return
	}
	if err := bench(*bin); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench(bin string) error {
	bin, err := filepath.Abs(bin)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "faultline-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &benches{bin: bin, dir: dir}
	var rows []row
	for _, measure := range []func() ([]row, error){b.validate, b.validateLarge, b.overhead, b.probe, b.history} {
		more, err := measure()
		if err != nil {
			return err
		}
		rows = append(rows, more...)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WHAT\tMEASURED\tBESIDE\tGOAL")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.what, r.measured, r.beside, r.goal)
	}
	return w.Flush()
}

// benches has what every measurement needs.
type benches struct {
	bin string
	dir string
}

func median(all []time.Duration) time.Duration {
	all = slices.Clone(all)
	slices.Sort(all)
	return all[len(all)/2]
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/1e6) }
