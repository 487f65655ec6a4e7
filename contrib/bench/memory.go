package main

import (
	"bufio"
	"context"
	"fmt"
	"os/exec"

	"github.com/prometheus/procfs"
)

// memory measures what a plugin has in memory once it has answered some calls, beside a
// Go program that does nothing. Resident memory counts the pages of its file, which all
// plugins of one binary share; the rest is what it has for itself.
func (b *benches) memory() ([]row, error) {
	ctx := context.Background()
	p, err := b.plugin(ctx)
	if err != nil {
		return nil, err
	}
	defer p.Close(ctx)
	for range callRound {
		if _, err := p.Discover(ctx, p.Name, []byte("{}")); err != nil {
			return nil, err
		}
	}
	path, err := b.build("bare")
	if err != nil {
		return nil, err
	}
	bare := exec.Command(path)
	in, err := bare.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := bare.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := bare.Start(); err != nil {
		return nil, err
	}
	defer func() {
		in.Close()
		bare.Wait()
	}()
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		return nil, err
	}
	ours, err := resident(p.PID())
	if err != nil {
		return nil, err
	}
	floor, err := resident(bare.Process.Pid)
	if err != nil {
		return nil, err
	}
	return []row{
		{"memory of a plugin, on top of a bare Go program", mb(ours.VmRSS - floor.VmRSS), mb(ours.VmRSS) + " - " + mb(floor.VmRSS), "< 12 MB"},
		{"  without the pages of their files", mb(ours.RssAnon - floor.RssAnon), mb(ours.RssAnon) + " - " + mb(floor.RssAnon), ""},
	}, nil
}

func resident(pid int) (procfs.ProcStatus, error) {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return procfs.ProcStatus{}, err
	}
	return p.NewStatus()
}

func mb(bytes uint64) string { return fmt.Sprintf("%.1f MB", float64(int64(bytes))/1e6) }
